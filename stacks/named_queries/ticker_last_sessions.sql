-- Last sessions of a ticker | Últimos pregões de um papel
-- EN: How did a ticker trade in the last twenty sessions? Prices are not adjusted for splits or dividends.
-- PT: Como um papel foi negociado nos últimos vinte pregões? Os preços não são ajustados por desdobramentos nem proventos.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: ticker | varchar | ${most_traded_ticker} | The ticker | O código de negociação
-- Scans: 21 files of the compact table at most, a session each | no máximo 21 arquivos da tabela compacta, um por pregão
-- Needs sessions: 1
WITH sessions AS (
    SELECT trade_date, row_number() OVER (ORDER BY trade_date DESC) - 1 AS sessions_ago
    FROM "${refined_database}"."${compact_table}$$partitions"
    WHERE trade_date <= ${trade_date}
    ORDER BY trade_date DESC
    LIMIT 21
),
history AS (
    SELECT
        daily.trade_date,
        daily.ticker,
        daily.open,
        daily.high,
        daily.low,
        daily.close,
        daily.trades,
        daily.volume,
        daily.days_to_expiry,
        sessions.sessions_ago,
        lag(daily.close) OVER (ORDER BY daily.trade_date) AS previous_close
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    WHERE daily.ticker = ${ticker}
)
SELECT
    trade_date,
    ticker,
    CAST(open AS decimal(18, 4)) AS open_brl,
    CAST(high AS decimal(18, 4)) AS high_brl,
    CAST(low AS decimal(18, 4)) AS low_brl,
    CAST(close AS decimal(18, 4)) AS close_brl,
    CAST(
        100 * (CAST(close AS double) - CAST(previous_close AS double))
            / nullif(CAST(previous_close AS double), 0)
        AS decimal(9, 2)
    ) AS change_percent,
    trades,
    volume AS volume_brl,
    days_to_expiry
FROM history
WHERE sessions_ago < 20
ORDER BY trade_date DESC
