-- Volume of a session by market
-- EN: How much money changed hands in each market in the last session: cash, odd lot, forward, calls, puts, others?
-- PT: Quanto foi negociado em cada mercado no último pregão: à vista, fracionário, termo, opções de compra, opções de venda, outros?
WITH session AS (
    SELECT
        trade_date,
        sum(cash_volume) AS cash,
        sum(odd_lot_volume) AS odd_lot,
        sum(forward_volume) AS forward,
        sum(call_volume) AS calls,
        sum(put_volume) AS puts,
        sum(other_volume) AS other,
        sum(volume) AS total
    FROM "${refined_database}"."${refined_table}"
    WHERE trade_date = (SELECT max(trade_date) FROM "${refined_database}"."${refined_table}")
    GROUP BY trade_date
),
by_market AS (
    SELECT trade_date, 'Cash' AS market, cash AS volume_brl, total FROM session
    UNION ALL
    SELECT trade_date, 'Odd lot', odd_lot, total FROM session
    UNION ALL
    SELECT trade_date, 'Forward', forward, total FROM session
    UNION ALL
    SELECT trade_date, 'Calls', calls, total FROM session
    UNION ALL
    SELECT trade_date, 'Puts', puts, total FROM session
    UNION ALL
    SELECT trade_date, 'Other', other, total FROM session
)
SELECT
    trade_date,
    market,
    volume_brl,
    CAST(100.0 * volume_brl / total AS decimal(5, 2)) AS share_of_session_percent
FROM by_market
ORDER BY volume_brl DESC, market
