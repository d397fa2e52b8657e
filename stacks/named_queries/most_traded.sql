-- Most traded stocks of a session
-- EN: In which twenty stocks did most money change hands in the last session, over all markets, and what share of the session is it?
-- PT: Quais vinte ações tiveram o maior volume financeiro no último pregão, somados todos os mercados, e que parte do pregão representam?
SELECT
    trade_date,
    ticker,
    company,
    volume AS volume_brl,
    CAST(100.0 * volume / sum(volume) OVER () AS decimal(5, 2)) AS share_of_session_percent,
    trades,
    quantity,
    option_series,
    round(put_call_ratio, 2) AS put_call_ratio
FROM "${refined_database}"."${refined_table}"
WHERE trade_date = (SELECT max(trade_date) FROM "${refined_database}"."${compact_table}")
ORDER BY volume DESC, ticker
LIMIT 20
