-- Put/call ratio of the market, session by session | Razão put/call do mercado, pregão a pregão
-- EN: How did the market's put/call ratio develop over the exchange's last twenty sessions, and how much of all trading are options? The ratio is of premiums paid; missing_sessions says how many sessions the lake lacks before each.
-- PT: Como evoluiu a razão entre opções de venda e de compra do mercado nos últimos vinte pregões da bolsa, e que parte de todo o volume são opções? A razão é de prêmios pagos; missing_sessions diz quantos pregões faltam no lake antes de cada um.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Scans: 20 files of the compact table at most, a session each | no máximo 20 arquivos da tabela compacta, um por pregão
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
    WHERE sessions_ago < 20
),
totals AS (
    SELECT
        daily.trade_date,
        max(sessions.missing_before) AS missing_before,
        max(daily.currency) AS currency,
        sum(daily.put_volume) AS put_volume,
        sum(daily.call_volume) AS call_volume,
        sum(daily.option_series) AS option_series,
        count(CASE WHEN daily.option_series > 0 THEN 1 END) AS stocks_with_options,
        sum(daily.volume) AS volume
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    GROUP BY daily.trade_date
)
SELECT
    trade_date,
    missing_before AS missing_sessions,
    currency,
    put_volume,
    call_volume,
    CAST(
        CAST(put_volume AS double) / nullif(CAST(call_volume AS double), 0)
        AS decimal(18, 2)
    ) AS put_call_ratio,
    option_series,
    stocks_with_options,
    CAST(
        100 * CAST(put_volume + call_volume AS double) / nullif(CAST(volume AS double), 0)
        AS decimal(5, 2)
    ) AS share_of_volume_percent
FROM totals
ORDER BY trade_date DESC
