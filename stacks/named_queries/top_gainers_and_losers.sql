-- Top gainers and losers of a session | Maiores altas e baixas de um pregão
-- EN: Which ten shares and units (or what else security_types says) rose and which ten fell most in a session, against their close in the exchange's previous session? That close is adjusted for what went ex since, as B3's own change is, unless prices says otherwise. Where a stock has none, the lake lacks that session, or an event in between is not proven, against the session's own open, and the column reference says so.
-- PT: Quais dez ações e units (ou o que mais disser security_types) mais subiram e quais dez mais caíram em um pregão, em relação ao fechamento no pregão anterior da bolsa? Ele é ajustado pelo que ficou ex desde então, como na variação da própria B3, salvo se prices diz outra coisa. Onde o papel não o tem, falta aquele pregão no lake ou um evento entre os dois não está provado, em relação à abertura do próprio pregão, e a coluna reference o diz.
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
        CASE WHEN daily.cash_volume > 0 THEN daily.close END AS close,
        daily.volume,
        daily.cash_volume,
        sessions.sessions_ago,
        sessions.previous_session,
        sessions.missing_before,
        ${price_factor} AS factor,
        ${price_base} AS base
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    ${factors_of_prices}
),
${compared},
price_changes AS (
    SELECT
        *,
        coalesce(previous_close, open) AS reference_price,
        100 * (CAST(close AS double) - CAST(coalesce(previous_close, open) AS double))
            / CAST(coalesce(previous_close, open) AS double) AS price_change
    FROM compared
    WHERE sessions_ago = 0
        AND cash_volume > 0
        AND coalesce(previous_close, open) > 0
        AND contains(split(replace(${security_types}, ' ', ''), ','), security_type)
        AND cash_volume >= ${minimum_volume}
),
ranked AS (
    SELECT
        *,
        row_number() OVER (ORDER BY price_change DESC, ticker) AS rise_place,
        row_number() OVER (ORDER BY price_change, ticker) AS fall_place
    FROM price_changes
)
SELECT
    trade_date,
    previous_session,
    missing_before AS missing_sessions,
    CASE WHEN price_change > 0 THEN 'gainer' ELSE 'loser' END AS side,
    CASE WHEN price_change > 0 THEN rise_place ELSE fall_place END AS place,
    ticker,
    company,
    security_type,
    CAST(price_change AS decimal(9, 2)) AS change_percent,
    currency,
    CAST(close AS decimal(18, 4)) AS close,
    CAST(reference_price AS decimal(18, 4)) AS reference_price,
    CASE
        WHEN previous_close IS NOT NULL THEN 'previous close'
        WHEN missing_before > 0 THEN 'open: previous session not in the lake'
        WHEN traded_before THEN 'open: an event since the previous close is not proven'
        ELSE 'open'
    END AS reference,
    volume
FROM ranked
WHERE (rise_place <= 10 AND price_change > 0)
    OR (fall_place <= 10 AND price_change < 0)
ORDER BY side, place
