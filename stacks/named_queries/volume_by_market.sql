-- Volume of a session by market
-- EN: How much money changed hands in each market in the last session: cash, odd lot, forward, calls, puts, others?
-- PT: Quanto foi negociado em cada mercado no último pregão: à vista, fracionário, termo, opções de compra, opções de venda, outros?
WITH totals AS (
    SELECT
        trade_date,
        sum(cash_volume) AS cash_volume,
        sum(odd_lot_volume) AS odd_lot_volume,
        sum(forward_volume) AS forward_volume,
        sum(call_volume) AS call_volume,
        sum(put_volume) AS put_volume,
        sum(other_volume) AS other_volume,
        sum(volume) AS volume
    FROM "${refined_database}"."${refined_table}"
    WHERE trade_date = (SELECT max(trade_date) FROM "${refined_database}"."${compact_table}")
    GROUP BY trade_date
),
by_market AS (
    SELECT trade_date, 'Cash' AS market, cash_volume AS volume_brl, volume FROM totals
    UNION ALL
    SELECT trade_date, 'Odd lot', odd_lot_volume, volume FROM totals
    UNION ALL
    SELECT trade_date, 'Forward', forward_volume, volume FROM totals
    UNION ALL
    SELECT trade_date, 'Calls', call_volume, volume FROM totals
    UNION ALL
    SELECT trade_date, 'Puts', put_volume, volume FROM totals
    UNION ALL
    SELECT trade_date, 'Other', other_volume, volume FROM totals
)
SELECT
    trade_date,
    market,
    volume_brl,
    CAST(100.0 * volume_brl / volume AS decimal(5, 2)) AS share_of_session_percent
FROM by_market
ORDER BY volume_brl DESC, market
