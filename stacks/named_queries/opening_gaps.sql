-- Gaps at the open | Gaps na abertura
-- EN: Which twenty shares and units (or what else security_types says) opened farthest from their close in the exchange's previous session, and did they trade back to it? A gap is filled if the session's low (gap up) or high (gap down) reached that close. Where the lake lacks the previous session, gaps are null, and the most traded come. That close is adjusted for what went ex since, unless prices says otherwise: what a dividend takes is no gap. Stocks with an event in between that is not proven are left out.
-- PT: Quais vinte ações e units (ou o que mais disser security_types) abriram mais longe do fechamento no pregão anterior da bolsa, e voltaram a ele? O gap é fechado se a mínima (gap de alta) ou a máxima (de baixa) do pregão alcançou aquele fechamento. Onde falta o pregão anterior no lake, os gaps são nulos, e vêm os mais negociados. Ele é ajustado pelo que ficou ex desde então, salvo se prices diz outra coisa: o que um provento leva não é gap. Papéis com um evento não provado entre os dois ficam fora.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: prices | varchar | 'total_return' | Which prices are compared: total_return (what a holder has had, distributions reinvested), adjusted (in equal shares) or traded (as they stand in the table) | Que preços se comparam: total_return (o que o titular teve, proventos reinvestidos), adjusted (em ações iguais) ou traded (como estão na tabela)
-- Parameter: security_types | varchar | 'share, unit' | Kinds of paper, of the column security_type | Tipos de papel, da coluna security_type
-- Parameter: minimum_volume | decimal | 1000000 | Least volume in the cash market in the session, in its currency | Volume mínimo à vista no pregão, na moeda dele
-- Scans: 2 files of the compact table at most, a session each, and the table of factors, one file | no máximo 2 arquivos da tabela compacta, um por pregão, e a tabela de fatores, um arquivo
-- Needs sessions: 1
WITH ${lake_sessions},
past AS (
    SELECT *, max(number) OVER () - number AS sessions_ago
    FROM lake_sessions
    WHERE trade_date <= ${trade_date}
),
sessions AS (
    SELECT *
    FROM past
    WHERE sessions_ago < 2
),
${prices_asked},
prices AS (
    SELECT
        daily.trade_date,
        daily.ticker,
        daily.company,
        daily.security_type,
        daily.currency,
        daily.open,
        daily.high,
        daily.low,
        daily.close,
        daily.cash_volume,
        sessions.sessions_ago,
        sessions.previous_session,
        sessions.missing_before,
        max(sessions.sessions_ago) OVER () AS sessions_before,
        ${price_factor} AS factor,
        ${price_base} AS base
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    ${factors_of_prices}
),
${compared},
gaps AS (
    SELECT
        *,
        100 * (CAST(open AS double) / CAST(nullif(previous_close, 0) AS double) - 1) AS gap
    FROM compared
    WHERE sessions_ago = 0
        AND ((previous_close > 0 AND open <> previous_close) OR sessions_before = 0)
        AND contains(split(replace(${security_types}, ' ', ''), ','), security_type)
        AND cash_volume >= ${minimum_volume}
)
SELECT
    trade_date,
    previous_session,
    missing_before AS missing_sessions,
    ticker,
    company,
    security_type,
    currency,
    CAST(previous_close AS decimal(18, 4)) AS previous_close,
    CAST(open AS decimal(18, 4)) AS open,
    CAST(gap AS decimal(9, 2)) AS gap_percent,
    CASE WHEN open > previous_close THEN low <= previous_close ELSE high >= previous_close END AS filled,
    CAST(close AS decimal(18, 4)) AS close,
    cash_volume
FROM gaps
ORDER BY abs(gaps.gap) DESC NULLS LAST, gaps.cash_volume DESC, ticker
LIMIT 20
