-- Stocks that did not trade | Papéis sem negócio
-- EN: Which stocks had no trade in the cash market in a session, though they traded, there or in odd lots, in the exchange's twenty sessions before (missing_sessions: how many of these the lake lacks)? After a change of ticker, a merger or a suspension, the old name stands here.
-- PT: Quais papéis não tiveram negócio à vista em um pregão, embora negociados, à vista ou no fracionário, nos vinte pregões anteriores da bolsa (missing_sessions: quantos desses faltam no lake)? Após troca de código, incorporação ou suspensão, o nome antigo aparece aqui.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Scans: 21 files of the compact table at most, a session each | no máximo 21 arquivos da tabela compacta, um por pregão
-- Needs sessions: 2
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
        daily.ticker,
        max_by(daily.company, daily.trade_date) AS company,
        max_by(daily.security_type, daily.trade_date) AS security_type,
        max_by(daily.currency, daily.trade_date) AS currency,
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
    (SELECT span.trade_date FROM span) AS trade_date,
    (SELECT span.missing_sessions FROM span) AS missing_sessions,
    ticker,
    company,
    security_type,
    currency,
    last_cash_trade,
    sessions_with_cash_trades,
    CAST(cash_volume_before AS decimal(24, 2)) AS cash_volume_before,
    CAST(odd_lot_volume AS decimal(24, 2)) AS odd_lot_volume
FROM stocks
WHERE cash_volume = 0
    AND volume_before > 0
ORDER BY cash_volume_before DESC, ticker
