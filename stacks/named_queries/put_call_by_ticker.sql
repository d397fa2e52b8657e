-- Put/call ratio by ticker | Razão put/call por papel
-- EN: On which stocks are puts traded rather than calls in a session? The ratio is of premiums paid; null without calls. Beside it, the ratio of the whole market.
-- PT: Em quais papéis se negociam mais opções de venda que de compra em um pregão? A razão é de prêmios pagos; nula sem opções de compra. Ao lado, a razão do mercado inteiro.
-- Parameter: trade_date | date | ${last_session} | The session | O pregão
-- Parameter: minimum_premiums | decimal | 100000 | Least premiums paid for the stock's options in the session, in its currency | Mínimo de prêmios pagos pelas opções do papel no pregão, na moeda dele
-- Scans: one file of the compact table, the session's | um arquivo da tabela compacta, o do pregão
-- Needs sessions: 1
WITH options AS (
    SELECT
        trade_date,
        ticker,
        company,
        currency,
        put_volume,
        call_volume,
        put_call_ratio,
        option_series,
        next_expiry,
        days_to_expiry,
        sum(put_volume) OVER () AS market_put_volume,
        sum(call_volume) OVER () AS market_call_volume
    FROM "${refined_database}"."${compact_table}"
    WHERE trade_date = ${trade_date}
        AND option_series > 0
)
SELECT
    trade_date,
    ticker,
    company,
    currency,
    put_volume,
    call_volume,
    CAST(put_call_ratio AS decimal(18, 2)) AS put_call_ratio,
    CAST(
        CAST(market_put_volume AS double) / nullif(CAST(market_call_volume AS double), 0)
        AS decimal(18, 2)
    ) AS market_put_call_ratio,
    CAST(
        100 * CAST(put_volume + call_volume AS double)
        / nullif(CAST(market_put_volume + market_call_volume AS double), 0)
        AS decimal(5, 2)
    ) AS share_of_premiums_percent,
    option_series,
    next_expiry,
    days_to_expiry
FROM options
WHERE put_volume + call_volume >= ${minimum_premiums}
ORDER BY put_volume + call_volume DESC, ticker
