"""`python -m tools.docs.tables`: write the column tables of both READMEs from the schemas that the code uses.

Names, types and English meanings are the layouts' in `scraper.b3` and `refinement`'s; this module adds where
each refined column comes from, and the Portuguese. `tests/unit/test_docs.py` fails when a README is behind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from refinement import columns
from scraper.b3.corporate_actions.layout import ACTION_COLUMNS
from scraper.b3.cotahist.layout import COTAHIST_COLUMNS
from scraper.b3.index_level.layout import LEVEL_COLUMNS
from scraper.b3.index_portfolio.layout import PORTFOLIO_COLUMNS
from tools.docs.markers import replaced

REPOSITORY = Path(__file__).resolve().parents[2]

HEADINGS = {
    "en": ("column", "type", "meaning", "source"),
    "pt": ("coluna", "tipo", "significado", "origem"),
}
READMES = {"en": REPOSITORY / "README.md", "pt": REPOSITORY / "README.pt-BR.md"}

ADJUSTMENT = {
    "en": REPOSITORY / "docs" / "adjusted-prices.md",
    "pt": REPOSITORY / "docs" / "adjusted-prices.pt-BR.md",
}

SOURCES = {
    "trade_date": "DATA",
    "ticker": "CODNEG",
    "isin": "CODISI",
    "company": "NOMRES",
    "share_class": "ESPECI",
    "open": "PREABE / FATCOT",
    "high": "PREMAX / FATCOT",
    "low": "PREMIN / FATCOT",
    "close": "PREULT / FATCOT",
    "average_price": "PREMED / FATCOT",
    "best_bid": "PREOFC / FATCOT",
    "best_ask": "PREOFV / FATCOT",
    "trades": "Σ TOTNEG",
    "quantity": "Σ QUATOT",
    "volume": "Σ VOLTOT",
    "cash_volume": "Σ VOLTOT, TPMERC 010",
    "odd_lot_volume": "Σ VOLTOT, TPMERC 020",
    "forward_volume": "Σ VOLTOT, TPMERC 030",
    "call_volume": "Σ VOLTOT, TPMERC 070",
    "put_volume": "Σ VOLTOT, TPMERC 080",
    "other_volume": "Σ VOLTOT, other TPMERC",
    "option_series": "CODNEG, TPMERC 070 080",
    "put_call_ratio": "VOLTOT",
    "next_expiry": "min DATVEN",
    "days_to_expiry": "DATVEN − DATA",
    "lines": "count",
    "index_weight": "part",
    "sector": "segment",
    "portfolio_date": "header.date",
    "portfolio_age_days": "DATA − header.date",
    "security_type": "CODBDI, ESPECI, NOMRES, CODISI",
    "bulletin_code": "CODBDI",
    "currency": "DATA",
    "distribution_number": "DISMES",
}
"""Where each refined column comes from: fields of COTAHIST, or of the index portfolio (lower case)."""

_LEVEL_SOURCES = {
    "index_code": "request",
    "trade_date": "request, day, rateValue1..12",
    "level": "rateValue1..12",
    "note": "rateValue1..12",
}

_ACTION_SOURCES = {
    "issuer": "code",
    "call": "request",
    "category": "cashDividends, stockDividends, subscriptions",
    "isin": "isinCode",
    "asset_issued": "assetIssued",
    "type_stock": "typeStock",
    "label": "label, corporateAction",
    "approved_on": "approvedOn, dateApproval",
    "last_date_prior": "lastDatePrior, lastDatePriorEx",
    "payment_date": "paymentDate",
    "rate": "rate, valueCash",
    "quoted_per_shares": "quotedPerShares",
    "factor": "factor",
    "percentage": "percentage",
    "price_unit": "priceUnit",
    "subscription_date": "subscriptionDate",
    "trading_period": "tradingPeriod",
    "related_to": "relatedTo",
    "remarks": "remarks",
    "closing_price": "closingPricePriorExDate",
    "closing_price_date": "dateClosingPricePriorExDate",
    "ratio": "ratio",
    "corporate_action_price": "corporateActionPrice",
    "occurrence": "count",
    "first_seen": "request",
    "last_seen": "request",
}
"""Where each column of a corporate action comes from: B3's own names, of one call or the other."""

_UNIT_PRICE = "BRL por unidade; ver currency"
_EARLIER = "antes de 1994-07-04 milhares de cruzeiros reais"
_MONEY, _PRICE = f"BRL; {_EARLIER}", f"BRL por FATCOT unidades; {_EARLIER}"

PORTUGUESE = {
    # Refined table
    "trade_date": "Pregão",
    "ticker": "Código de negociação; um papel sem linha à vista leva o nome do fracionário, o de outra linha "
    "ou o das opções",
    "isin": "ISIN do papel; nulo quando a B3 não o informa",
    "company": "Nome resumido da empresa",
    "share_class": "Espécie, direitos e segmento de listagem",
    "open": f"Preço de abertura à vista [{_UNIT_PRICE}]; nulo sem linha à vista",
    "high": f"Preço máximo à vista [{_UNIT_PRICE}]",
    "low": f"Preço mínimo à vista [{_UNIT_PRICE}]",
    "close": f"Último preço à vista [{_UNIT_PRICE}]",
    "average_price": f"Preço médio à vista [{_UNIT_PRICE}]",
    "best_bid": f"Melhor oferta de compra no fechamento à vista [{_UNIT_PRICE}]; nulo se não há",
    "best_ask": f"Melhor oferta de venda no fechamento à vista [{_UNIT_PRICE}]; nulo se não há",
    "trades": "Número de negócios, todos os mercados; nulo onde o volume de uma linha contradiz a contagem, "
    "da qual a B3 dá os cinco últimos dígitos",
    "quantity": "Quantidade negociada, todos os mercados [ações ou contratos]",
    "volume": "Volume financeiro, todos os mercados [BRL; ver currency]",
    "cash_volume": "Volume no mercado à vista [BRL; ver currency]",
    "odd_lot_volume": "Volume no mercado fracionário [BRL; ver currency]",
    "forward_volume": "Volume a termo [BRL; ver currency]",
    "call_volume": "Prêmios pagos por opções de compra [BRL; ver currency]",
    "put_volume": "Prêmios pagos por opções de venda [BRL; ver currency]",
    "other_volume": "Volume nos demais mercados, como exercícios e leilões [BRL; ver currency]",
    "option_series": "Número de séries de opções (compra e venda) negociadas",
    "put_call_ratio": "put_volume / call_volume; nulo sem opções de compra",
    "next_expiry": "Vencimento mais próximo entre as séries negociadas",
    "days_to_expiry": "Dias de trade_date a next_expiry",
    "lines": "Número de linhas brutas por trás desta linha",
    "index_weight": "Peso no IBOV [por cento]; nulo fora do índice",
    "sector": "Setor econômico, como na carteira do IBOV; nulo fora do índice",
    "portfolio_date": "Data da carteira do IBOV consultada: a mais recente até trade_date",
    "portfolio_age_days": "Dias de portfolio_date a trade_date",
    "security_type": "Tipo do papel: share (ação), unit, right (direitos e recibos de subscrição, bônus), "
    "fund (fundo), etf, bdr, index (índice) ou other (outro)",
    "bulletin_code": "Código BDI da linha que dá nome à linha",
    "currency": "De preços e volumes: BRL; antes de 1994-07-04 CRR thousand, milhares de cruzeiros reais",
    "distribution_number": "Número de distribuição da B3, da linha à vista (DISMES): sobe a cada provento, "
    "na data ex; nulo sem linha à vista",
    # Raw table of the quotes
    "codbdi": "Código BDI: 02 lote padrão, 12 fundo imobiliário, 96 fracionário, e outros",
    "codneg": "Código de negociação",
    "tpmerc": "Mercado: 010 à vista, 012 e 013 exercício de opções de compra e de venda, 017 leilão, "
    "020 fracionário, 030 termo, 050 e 060 futuro, 070 opções de compra, 080 opções de venda, e outros",
    "nomres": "Nome resumido da empresa",
    "especi": "Espécie, direitos e segmento de listagem",
    "prazot": "Prazo do termo [dias]; vazio no mercado à vista",
    "modref": "Rótulo da moeda de referência; não se convertem preços por ele",
    "preabe": f"Preço de abertura [{_PRICE}]",
    "premax": f"Preço máximo [{_PRICE}]",
    "premin": f"Preço mínimo [{_PRICE}]",
    "premed": f"Preço médio [{_PRICE}]",
    "preult": f"Último preço [{_PRICE}]",
    "preofc": f"Melhor oferta de compra, 0 se não há [{_PRICE}]",
    "preofv": f"Melhor oferta de venda, 0 se não há [{_PRICE}]",
    "totneg": "Número de negócios módulo 100.000: a B3 escreve os cinco últimos dígitos",
    "quatot": "Quantidade negociada [ações ou contratos]",
    "voltot": f"Volume financeiro [{_MONEY}]",
    "preexe": f"Preço de exercício da opção, 0 se não há [{_MONEY}]",
    "indopc": "Índice de correção do preço de exercício, 0 se não há",
    "datven": "Vencimento da opção, nulo se não há (99991231) ou não é dia",
    "fatcot": "Fator de cotação: o preço é por tantas unidades [ações]",
    "ptoexe": "Preço de exercício de opção referenciada em pontos [pontos]",
    "codisi": "ISIN, o do objeto no caso de derivativo; antes de 1995, código interno",
    "dismes": "Número de distribuição do papel",
    # Raw table of the portfolio
    "index_code": "Código do índice, como IBOV",
    "level": "Fechamento do pregão [pontos], como a B3 o publicou na época",
    "note": "Por que não se compara com o nível anterior, como depois de uma base nova; senão nulo",
    "asset": "Nome resumido da empresa",
    "weight": "Peso no índice [por cento]",
    "sector_weight": "Peso do setor [por cento]; nulo sem setor",
    "theoretical_quantity": "Quantidade na carteira teórica [ações]",
    "reductor": "Redutor do índice, o mesmo em todas as linhas; nulo se não há",
    # Raw table of corporate actions
    "issuer": "Código do emissor, os quatro primeiros caracteres do código de negociação",
    "call": "Qual das chamadas da B3 o disse: supplement, cash_history ou funds",
    "category": "cash (dinheiro), stock (ações) ou subscription (subscrição)",
    "asset_issued": "ISIN do que é dado",
    "type_stock": "Espécie da ação, ON ou PN; só de cash_history",
    "label": "Como a B3 o chama, por exemplo DIVIDENDO",
    "approved_on": "Dia da deliberação",
    "last_date_prior": "Último pregão com o direito; o seguinte é ex",
    "payment_date": "Dia do pagamento; nulo se não está marcado",
    "rate": "Dinheiro, bruto [BRL por quoted_per_shares ações]",
    "quoted_per_shares": "Ações a que rate se refere; 1 onde a B3 não o diz",
    "factor": "Ações novas para cada 100; de um GRUPAMENTO a própria razão; de outros, razão nenhuma",
    "percentage": "Ações oferecidas para cada 100",
    "price_unit": "Preço de uma ação oferecida [BRL]",
    "subscription_date": "Último dia da subscrição",
    "trading_period": "Quando o próprio direito é negociado, como a B3 o escreve",
    "related_to": "Período a que o pagamento se refere, como a B3 o escreve",
    "remarks": "Observações",
    "closing_price": "Fechamento antes da data ex [BRL por quoted_per_shares ações]",
    "closing_price_date": "Pregão de closing_price",
    "ratio": "ratio de cash_history, como a B3 o escreve: sempre 1, até onde se sabe",
    "corporate_action_price": "rate em por cento de closing_price, como a B3 o escreve",
    "occurrence": "1, 2, ... dos eventos iguais em tudo o mais numa resposta",
    "first_seen": "Dia em São Paulo em que a B3 o mostrou aqui pela primeira vez",
    "last_seen": "Dia em São Paulo em que a B3 o mostrou aqui pela última vez",
}


_NAO_PROVAVEL = "nulo onde não se pode provar"
_ANTERIORES = "Por quanto multiplica os preços anteriores"
_SESSAO = "do último pregão do papel"
ADJUSTMENT_IN_PORTUGUESE = {
    ("bovespa_events", "isin"): "ISIN do papel",
    ("bovespa_events", "ticker"): "Seu código na data ex, ou o último conhecido",
    ("bovespa_events", "ex_date"): "Primeiro pregão sem o direito; nulo enquanto o lake não o tem",
    ("bovespa_events", "kind"): "dividend (dividendo), interest (JCP), income (rendimento de fundos), "
    "other_cash (outro valor em dinheiro), subscription (subscrição), split (desdobramento), reverse_split "
    "(grupamento), bonus (bonificação), spin_off (cisão), other (outro), nominal_update (atualização), ou "
    "unknown: o número de distribuição subiu e a B3 não informa evento",
    ("bovespa_events", "label"): "O nome que a B3 lhe dá; nulo em unknown",
    ("bovespa_events", "ratio"): "Ações depois para uma antes; nulo onde seu número não muda",
    ("bovespa_events", "amount"): "Valor bruto por ação, ou quanto valia o direito de subscrição [BRL]; nulo "
    "nos demais",
    ("bovespa_events", "close_before"): "Fechamento do último pregão com o direito, ou do último do papel "
    "antes dele [BRL por unidade]",
    ("bovespa_events", "split_factor"): f"{_ANTERIORES}, só pelo número de ações; nulo se não se sabe",
    ("bovespa_events", "total_return_factor"): f"{_ANTERIORES}, pelo número de ações e pelo provento; nulo "
    "se não se sabe",
    ("bovespa_events", "last_date_prior"): "Último pregão com o direito, segundo a B3; nulo sem evento",
    ("bovespa_events", "payment_date"): "Quando é pago; nulo se não se sabe",
    ("bovespa_events", "status"): "proven (medido, e o número de distribuição subiu), unsized (não se pode "
    "medir), unexplained (subida sem evento), unconfirmed (evento sem subida) ou contradicted (pelo próprio "
    "preço)",
    ("bovespa_events", "reason"): "Por que não está provado, em inglês; nulo se está",
    ("bovespa_factors", "isin"): "ISIN do papel",
    ("bovespa_factors", "first_session"): "Primeiro pregão do trecho",
    ("bovespa_factors", "last_session"): "Último pregão do trecho; os trechos não se sobrepõem e cobrem "
    "todos os pregões",
    ("bovespa_factors", "split_factor"): "Por quanto se multiplica um preço do trecho para estar em ações "
    f"{_SESSAO}; {_NAO_PROVAVEL}",
    ("bovespa_factors", "total_return_factor"): f"O mesmo, com os proventos reinvestidos; {_NAO_PROVAVEL}",
    ("bovespa_factors", "split_base"): "O pregão mais novo ao qual as razões levam sem interrupção: trechos "
    "de uma mesma base podem ser comparados, interrompa-se a série depois como for; nulo onde nem os pregões "
    "do próprio trecho podem",
    ("bovespa_factors", "split_base_factor"): "Por quanto se multiplica um preço do trecho para estar em "
    "ações de split_base",
    ("bovespa_factors", "total_return_base"): "Como split_base, das razões e dos proventos",
    ("bovespa_factors", "total_return_base_factor"): "Como split_base_factor, com os proventos "
    "reinvestidos; leva a total_return_base",
    (
        "bovespa_factors",
        "reason",
    ): "Por que um dos dois primeiros é nulo, em inglês: o que vem logo depois do trecho",
    **{
        ("bovespa_daily_adjusted", f"{name}_adjusted"): f"{name} em ações {_SESSAO} [BRL]; {_NAO_PROVAVEL}, "
        "como diz adjustment_reason"
        for name in ("open", "high", "low", "close", "average_price")
    },
    (
        "bovespa_daily_adjusted",
        "quantity_adjusted",
    ): f"quantity em ações {_SESSAO}; {_NAO_PROVAVEL}, como diz adjustment_reason",
    ("bovespa_daily_adjusted", "close_total_return"): "close_adjusted, com os proventos reinvestidos [BRL]; "
    f"{_NAO_PROVAVEL}, como diz adjustment_reason",
    ("bovespa_daily_adjusted", "adjustment_reason"): "Por que um deles é nulo, em inglês",
}
"""The meanings in Portuguese of the columns that `docs/adjusted-prices.pt-BR.md` has."""


_IN_TABLE = {
    ("bovespa_index_members", "ticker"): "Código do componente",
    ("bovespa_index_members", "isin"): "Seu ISIN; nulo se não foi negociado no pregão",
    ("bovespa_index_members", "weight"): "Peso no índice em portfolio_date [por cento]",
    ("bovespa_index_members", "sector"): "Setor econômico, como na carteira",
    ("bovespa_index_members", "portfolio_date"): "Data da carteira: a mais recente até trade_date",
    ("cotahist", "trade_date"): "Pregão, a partição",
    ("index_portfolio", "portfolio_date"): "Data da própria carteira, a partição",
    ("index_portfolio", "ticker"): "Código do componente",
    ("index_portfolio", "sector"): "Setor e subsetor econômicos; nulo quando a B3 não os informa",
    ("corporate_actions", "isin"): "ISIN do papel que tem o direito; nulo em cash_history",
}
"""What a column means in one table, where that is something else than in the others."""


class Row(NamedTuple):
    """A column as the READMEs show it."""

    name: str
    type: str
    meaning: str
    source: str


def tables() -> dict[str, list[Row]]:
    """The rows of each table, in English, by the name of its marker in the READMEs."""
    fields = (*columns.PARTITION_KEYS, *columns.COLUMNS)
    session = Row("trade_date", "date", "Trading session, the partition", "DATA")
    portfolio_day = Row("portfolio_date", "date", "The portfolio's own date, the partition", "header.date")
    member_sources = {"index_code": "request", "weight": "part", "ticker": "cod"}
    portfolio_sources = {"index_code": "request", "ticker": "cod", "reductor": "header.reductor"}
    return {
        "bovespa_daily": [
            Row(field.name, field.type, field.comment, SOURCES[field.name]) for field in fields
        ],
        "bovespa_index_members": [
            Row(field.name, field.type, field.comment, member_sources.get(field.name) or SOURCES[field.name])
            for field in (*columns.MEMBER_KEYS, *columns.MEMBER_COLUMNS)
        ],
        "cotahist": [
            session,
            *(
                Row(column.name, column.glue_type, column.comment, column.name.upper())
                for column in COTAHIST_COLUMNS
            ),
        ],
        "index_portfolio": [
            portfolio_day,
            *(
                Row(
                    column.name,
                    column.glue_type,
                    _without_source(column.comment),
                    portfolio_sources.get(column.name) or _source(column.comment),
                )
                for column in PORTFOLIO_COLUMNS
            ),
        ],
        "index_level": [
            Row(column.name, column.glue_type, column.comment, _LEVEL_SOURCES[column.name])
            for column in LEVEL_COLUMNS
        ],
        "corporate_actions": [
            Row(column.name, column.glue_type, _without_source(column.comment), _ACTION_SOURCES[column.name])
            for column in ACTION_COLUMNS
        ],
    }


def of_adjustment() -> dict[str, tuple[columns.Field, ...]]:
    """The columns of the tables that `docs/adjusted-prices.md` has, by the name of their marker in it."""
    return {
        "bovespa_events": columns.EVENT_COLUMNS,
        "bovespa_factors": columns.FACTOR_COLUMNS,
        "bovespa_daily_adjusted": columns.ADJUSTED_COLUMNS,
    }


def _source(comment: str) -> str:
    """B3's own name, which the comments of the portfolio's columns hold in brackets."""
    found = re.search(r"\((\w+)\)", comment)
    if found is None:
        raise ValueError(f"no source in brackets in {comment!r}")
    return found[1]


def _without_source(comment: str) -> str:
    return re.sub(r" \(\w+(, \w+)?\)", "", comment)


def _portuguese(table: str, row: Row) -> Row:
    meaning = _IN_TABLE.get((table, row.name)) or PORTUGUESE[row.name]
    source = row.source.replace("other TPMERC", "outro TPMERC").replace("count", "contagem")
    return row._replace(meaning=meaning, source=source.replace("request", "pedido"))


def render(rows: Iterable[Sequence[str]], headings: Sequence[str]) -> str:
    """A Markdown table."""
    lines = [headings, ["---"] * len(headings), *([f"`{row[0]}`", *row[1:]] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def updated(text: str, language: str) -> str:
    """A README's text with the tables between its markers as they should be.

    Raises:
        ValueError: A marker is missing.
    """
    for name, rows in tables().items():
        shown = rows if language == "en" else [_portuguese(name, row) for row in rows]
        block = render(shown, HEADINGS[language])
        text = replaced(text, name, block, document=READMES[language].name)
    return text


def updated_adjustment(text: str, language: str) -> str:
    """The text of the page on adjusted prices with the tables between its markers as they should be.

    Raises:
        ValueError: A marker is missing.
    """
    for name, fields in of_adjustment().items():
        portuguese = {field.name: ADJUSTMENT_IN_PORTUGUESE[name, field.name] for field in fields}
        english = {field.name: field.comment for field in fields}
        meanings = english if language == "en" else portuguese
        rows = [(field.name, field.type, meanings[field.name]) for field in fields]
        block = render(rows, HEADINGS[language][:3])
        text = replaced(text, name, block, document=ADJUSTMENT[language].name)
    return text


def main() -> None:
    """Write the tables into both READMEs, and into both pages on adjusted prices."""
    for language, path in ADJUSTMENT.items():
        path.write_text(updated_adjustment(path.read_text(encoding="utf-8"), language), encoding="utf-8")
    for language, path in READMES.items():
        path.write_text(updated(path.read_text(encoding="utf-8"), language), encoding="utf-8")


if __name__ == "__main__":
    main()
