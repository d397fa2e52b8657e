-- Odd lots: where small investors trade | Fracionário: onde negociam os pequenos investidores
-- EN: In which stocks is the share of odd lots (orders below the standard lot, a sign of small investors) largest in a session? It is of the volume in the cash and odd-lot markets.
-- PT: Em quais papéis a parte do fracionário (ordens abaixo do lote padrão, sinal de pequenos investidores) é maior em um pregão? É do volume nos mercados à vista e fracionário.
-- Parameter: trade_date | date | ${last_session} | The session | O pregão
-- Parameter: minimum_volume | decimal | 1000000 | Least volume in the cash and odd-lot markets in the session, in its currency | Volume mínimo à vista e no fracionário no pregão, na moeda dele
-- Scans: one file of the compact table, the session's | um arquivo da tabela compacta, o do pregão
-- Needs sessions: 1
WITH stocks AS (
    SELECT
        trade_date,
        ticker,
        company,
        currency,
        odd_lot_volume,
        cash_volume,
        CAST(close AS decimal(18, 4)) AS close,
        sum(odd_lot_volume) OVER () AS market_odd_lot_volume,
        sum(cash_volume) OVER () AS market_cash_volume
    FROM "${refined_database}"."${compact_table}"
    WHERE trade_date = ${trade_date}
)
SELECT
    trade_date,
    ticker,
    company,
    currency,
    close,
    odd_lot_volume,
    cash_volume,
    CAST(
        100 * CAST(odd_lot_volume AS double) / CAST(odd_lot_volume + cash_volume AS double)
        AS decimal(5, 2)
    ) AS odd_lot_share_percent,
    CAST(
        100 * CAST(market_odd_lot_volume AS double)
            / CAST(market_odd_lot_volume + market_cash_volume AS double)
        AS decimal(5, 2)
    ) AS market_odd_lot_share_percent
FROM stocks
WHERE odd_lot_volume + cash_volume > 0
    AND odd_lot_volume + cash_volume >= ${minimum_volume}
ORDER BY CAST(odd_lot_volume AS double) / CAST(odd_lot_volume + cash_volume AS double) DESC, ticker
LIMIT 50
