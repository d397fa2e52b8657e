-- Last sessions of a ticker | Últimos pregões de um papel
-- EN: How did a ticker trade in the exchange's last twenty sessions? A change is against its last close before, of reference_date, and null where the lake lacks a session in between (missing_sessions). Prices are not adjusted for splits or dividends.
-- PT: Como um papel foi negociado nos últimos vinte pregões da bolsa? Uma variação é em relação ao seu último fechamento anterior, o de reference_date, e nula onde falta no lake um pregão entre os dois (missing_sessions). Os preços não são ajustados por desdobramentos nem proventos.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: ticker | varchar | ${most_traded_ticker} | The ticker | O código de negociação
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
present AS (
    -- How many sessions the lake lacks up to each
    SELECT *, number - row_number() OVER (ORDER BY trade_date) AS missing
    FROM sessions
),
history AS (
    SELECT
        daily.trade_date,
        daily.ticker,
        daily.currency,
        daily.open,
        daily.high,
        daily.low,
        daily.close,
        daily.trades,
        daily.volume,
        daily.days_to_expiry,
        present.sessions_ago,
        present.missing_before,
        present.missing,
        last_value(CASE WHEN daily.close > 0 THEN daily.trade_date END) IGNORE NULLS OVER earlier AS reference_date,
        last_value(CASE WHEN daily.close > 0 THEN daily.close END) IGNORE NULLS OVER earlier AS reference_price,
        last_value(CASE WHEN daily.close > 0 THEN present.missing END) IGNORE NULLS OVER earlier AS missing_then
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN present ON present.trade_date = daily.trade_date
    WHERE daily.ticker = ${ticker}
    WINDOW earlier AS (ORDER BY daily.trade_date ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT
    trade_date,
    missing_before AS missing_sessions,
    ticker,
    currency,
    CAST(open AS decimal(18, 4)) AS open,
    CAST(high AS decimal(18, 4)) AS high,
    CAST(low AS decimal(18, 4)) AS low,
    CAST(close AS decimal(18, 4)) AS close,
    reference_date,
    CAST(
        CASE
            WHEN missing = missing_then
                THEN 100 * (CAST(close AS double) / CAST(reference_price AS double) - 1)
        END
        AS decimal(9, 2)
    ) AS change_percent,
    trades,
    volume,
    days_to_expiry
FROM history
WHERE sessions_ago < 20
ORDER BY trade_date DESC
