-- Stocks that did not trade | Papéis sem negócio
-- EN: Which stocks had no trade in the cash market in a session, though they traded, there or in odd lots, in the twenty sessions before? After a change of ticker, a merger or a suspension, the old name stands here.
-- PT: Quais papéis não tiveram negócio à vista em um pregão, embora negociados, à vista ou no fracionário, nos vinte pregões anteriores? Após troca de código, incorporação ou suspensão, o nome antigo aparece aqui.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Scans: 21 files of the compact table at most, a session each | no máximo 21 arquivos da tabela compacta, um por pregão
-- Needs sessions: 2
WITH sessions AS (
    SELECT trade_date, row_number() OVER (ORDER BY trade_date DESC) - 1 AS sessions_ago
    FROM "${refined_database}"."${compact_table}$$partitions"
    WHERE trade_date <= ${trade_date}
    ORDER BY trade_date DESC
    LIMIT 21
),
stocks AS (
    SELECT
        daily.ticker,
        max_by(daily.company, daily.trade_date) AS company,
        max(CASE WHEN daily.cash_volume > 0 THEN daily.trade_date END) AS last_cash_trade,
        count(
            CASE WHEN sessions.sessions_ago > 0 AND daily.cash_volume > 0 THEN 1 END
        ) AS sessions_with_cash_trades,
        sum(CASE WHEN sessions.sessions_ago > 0 THEN daily.cash_volume ELSE 0 END) AS cash_volume_before,
        sum(
            CASE WHEN sessions.sessions_ago > 0 THEN daily.cash_volume + daily.odd_lot_volume ELSE 0 END
        ) AS volume_before,
        sum(CASE WHEN sessions.sessions_ago = 0 THEN daily.cash_volume ELSE 0 END) AS cash_volume,
        sum(CASE WHEN sessions.sessions_ago = 0 THEN daily.odd_lot_volume ELSE 0 END) AS odd_lot_volume
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    GROUP BY daily.ticker
)
SELECT
    (SELECT max(trade_date) FROM sessions) AS trade_date,
    ticker,
    company,
    last_cash_trade,
    sessions_with_cash_trades,
    CAST(cash_volume_before AS decimal(24, 2)) AS cash_volume_before_brl,
    CAST(odd_lot_volume AS decimal(24, 2)) AS odd_lot_volume_brl
FROM stocks
WHERE cash_volume = 0
    AND volume_before > 0
ORDER BY cash_volume_before DESC, ticker
