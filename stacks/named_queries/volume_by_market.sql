-- Volume of a session by market | Volume de um pregão por mercado
-- EN: How much money changed hands in each market in a session: cash, odd lot, forward, calls, puts, others?
-- PT: Quanto foi negociado em cada mercado em um pregão: à vista, fracionário, termo, opções de compra, opções de venda, outros?
-- Parameter: trade_date | date | ${last_session} | The session | O pregão
-- Scans: one file of the compact table, the session's | um arquivo da tabela compacta, o do pregão
-- Needs sessions: 1
WITH totals AS (
    SELECT
        trade_date,
        max(currency) AS currency,
        sum(cash_volume) AS cash_volume,
        sum(odd_lot_volume) AS odd_lot_volume,
        sum(forward_volume) AS forward_volume,
        sum(call_volume) AS call_volume,
        sum(put_volume) AS put_volume,
        sum(other_volume) AS other_volume,
        sum(volume) AS volume
    FROM "${refined_database}"."${compact_table}"
    WHERE trade_date = ${trade_date}
    GROUP BY trade_date
),
markets (market) AS (
    VALUES ('Cash'), ('Odd lot'), ('Forward'), ('Calls'), ('Puts'), ('Other')
),
by_market AS (
    -- Not a UNION of six SELECTs: Athena would read the session for each of them
    SELECT
        totals.trade_date,
        totals.currency,
        markets.market,
        CASE markets.market
            WHEN 'Cash' THEN totals.cash_volume
            WHEN 'Odd lot' THEN totals.odd_lot_volume
            WHEN 'Forward' THEN totals.forward_volume
            WHEN 'Calls' THEN totals.call_volume
            WHEN 'Puts' THEN totals.put_volume
            ELSE totals.other_volume
        END AS volume,
        totals.volume AS session_volume
    FROM totals CROSS JOIN markets
)
SELECT
    trade_date,
    market,
    currency,
    volume,
    CAST(
        100 * CAST(volume AS double) / nullif(CAST(session_volume AS double), 0)
        AS decimal(5, 2)
    ) AS share_of_session_percent
FROM by_market
ORDER BY volume DESC, market
