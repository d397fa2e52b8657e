-- Turnover by sector | Volume por setor
-- EN: How much was traded in each sector of the ${joined_index} in a session, over all markets, against its average of the exchange's twenty sessions before? Sessions that the lake lacks do not count (missing_sessions). A stock's sector is the newest known in these sessions; stocks outside the index come together.
-- PT: Quanto foi negociado em cada setor do ${joined_index} em um pregão, somados todos os mercados, em relação à média dos vinte pregões anteriores da bolsa? Os que faltam no lake não contam (missing_sessions). O setor de um papel é o mais recente conhecido nesses pregões; os papéis fora do índice vêm juntos.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
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
        max(trade_date) AS trade_date,
        sum(least(coalesce(missing_before, 0), 20 - sessions_ago)) AS missing_sessions
    FROM sessions
),
stocks AS (
    SELECT
        daily.volume,
        sessions.sessions_ago,
        daily.currency,
        (SELECT count(*) - 1 FROM sessions) AS sessions_before,
        last_value(daily.sector) IGNORE NULLS OVER (
            PARTITION BY daily.ticker
            ORDER BY daily.trade_date
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ) AS sector
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
),
sectors AS (
    SELECT
        coalesce(stocks.sector, '(outside the index)') AS sector,
        max(currency) AS currency,
        count(CASE WHEN sessions_ago = 0 THEN 1 END) AS stocks,
        sum(CASE WHEN sessions_ago = 0 THEN volume ELSE 0 END) AS volume,
        CAST(sum(CASE WHEN sessions_ago > 0 THEN volume END) AS double)
            / nullif(max(sessions_before), 0) AS average_volume
    FROM stocks
    GROUP BY coalesce(stocks.sector, '(outside the index)')
)
SELECT
    (SELECT span.trade_date FROM span) AS trade_date,
    (SELECT span.missing_sessions FROM span) AS missing_sessions,
    sector,
    currency,
    stocks,
    CAST(volume AS decimal(24, 2)) AS volume,
    CAST(
        100 * CAST(volume AS double) / nullif(CAST(sum(volume) OVER () AS double), 0)
        AS decimal(5, 2)
    ) AS share_of_session_percent,
    -- To four digits first: what is half a cent is so in any engine, and is rounded up
    CAST(CAST(average_volume AS decimal(28, 4)) AS decimal(24, 2)) AS average_volume,
    CAST(CAST(volume AS double) / nullif(average_volume, 0) AS decimal(18, 2)) AS times_the_average
FROM sectors
ORDER BY volume DESC, sector
