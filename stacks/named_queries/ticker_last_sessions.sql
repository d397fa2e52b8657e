-- Last sessions of a ticker
-- EN: How did a ticker trade in its last twenty sessions? Set the ticker in the first lines; without one it is the most traded of the last session.
-- PT: Como um papel foi negociado em seus últimos vinte pregões? Informe o código nas primeiras linhas; sem ele, vale o mais negociado do último pregão.
WITH wanted AS (
    SELECT CAST(NULL AS varchar) AS ticker  -- such as SELECT 'PETR4' AS ticker
),
last_session AS (
    SELECT max(trade_date) AS trade_date
    FROM "${refined_database}"."${compact_table}"
),
most_traded AS (
    SELECT ticker
    FROM "${refined_database}"."${compact_table}"
    WHERE trade_date = (SELECT trade_date FROM last_session)
    ORDER BY volume DESC, ticker
    LIMIT 1
),
sessions AS (
    SELECT *, lag(close) OVER (ORDER BY trade_date) AS previous_close
    FROM "${refined_database}"."${compact_table}"
    WHERE trade_date > (SELECT trade_date FROM last_session) - INTERVAL '60' DAY
        AND ticker = (SELECT coalesce(wanted.ticker, most_traded.ticker) FROM wanted CROSS JOIN most_traded)
)
SELECT
    trade_date,
    ticker,
    CAST(open AS decimal(18, 4)) AS open_brl,
    CAST(high AS decimal(18, 4)) AS high_brl,
    CAST(low AS decimal(18, 4)) AS low_brl,
    CAST(close AS decimal(18, 4)) AS close_brl,
    CAST(100 * (close - previous_close) / previous_close AS decimal(9, 2)) AS change_percent,
    trades,
    volume AS volume_brl,
    days_to_expiry
FROM sessions
ORDER BY trade_date DESC
LIMIT 20
