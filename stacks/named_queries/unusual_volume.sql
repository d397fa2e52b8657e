-- Unusual volume | Volume incomum
-- EN: Which twenty shares and units (or what else security_types says) traded most against their own average of the exchange's twenty sessions before, in the cash market? A session without a trade counts as zero; one that the lake lacks does not count (missing_sessions). Where it lacks all twenty, averages are null.
-- PT: Quais vinte ações e units (ou o que mais disser security_types) mais negociaram em relação à sua própria média dos vinte pregões anteriores da bolsa, à vista? Um pregão sem negócio conta como zero; um que falta no lake não conta (missing_sessions). Onde faltam os vinte, as médias são nulas.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: security_types | varchar | 'share, unit' | Kinds of paper, of the column security_type | Tipos de papel, da coluna security_type
-- Parameter: minimum_volume | decimal | 1000000 | Least volume in the cash market in the session, in its currency | Volume mínimo à vista no pregão, na moeda dele
-- Scans: 21 files of the compact table at most, a session each | no máximo 21 arquivos da tabela compacta, um por pregão
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
    WHERE sessions_ago < 21
),
span AS (
    SELECT
        sum(least(coalesce(missing_before, 0), 20 - sessions_ago)) AS missing_sessions,
        nullif(count(*) - 1, 0) AS sessions_before
    FROM sessions
),
stocks AS (
    SELECT
        max(daily.trade_date) AS trade_date,
        daily.ticker,
        max_by(daily.company, daily.trade_date) AS company,
        max_by(daily.security_type, daily.trade_date) AS security_type,
        max_by(daily.currency, daily.trade_date) AS currency,
        sum(CASE WHEN sessions.sessions_ago = 0 THEN daily.cash_volume END) AS cash_volume,
        CAST(sum(CASE WHEN sessions.sessions_ago > 0 THEN daily.cash_volume END) AS double)
            / (SELECT sessions_before FROM span) AS average_volume
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    GROUP BY daily.ticker
)
SELECT
    trade_date,
    (SELECT missing_sessions FROM span) AS missing_sessions,
    ticker,
    company,
    security_type,
    currency,
    cash_volume,
    -- To four digits first: what is half a cent is so in any engine, and is rounded up
    CAST(CAST(average_volume AS decimal(28, 4)) AS decimal(24, 2)) AS average_cash_volume,
    CAST(CAST(cash_volume AS double) / average_volume AS decimal(18, 2)) AS times_the_average
FROM stocks
WHERE (average_volume > 0 OR (SELECT sessions_before FROM span) IS NULL)
    AND contains(split(replace(${security_types}, ' ', ''), ','), security_type)
    AND cash_volume >= ${minimum_volume}
ORDER BY CAST(cash_volume AS double) / average_volume DESC NULLS LAST, stocks.cash_volume DESC, ticker
LIMIT 20
