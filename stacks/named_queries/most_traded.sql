-- Most traded stocks of a session | Papéis mais negociados de um pregão
-- EN: In which twenty stocks did most money change hands in a session, over all markets, and what share of the session is it?
-- PT: Quais vinte papéis tiveram o maior volume financeiro em um pregão, somados todos os mercados, e que parte do pregão representam?
-- Parameter: trade_date | date | ${last_session} | The session | O pregão
-- Scans: one file of the compact table, the session's | um arquivo da tabela compacta, o do pregão
-- Needs sessions: 1
SELECT
    trade_date,
    ticker,
    company,
    security_type,
    currency,
    volume,
    CAST(
        100 * CAST(volume AS double) / nullif(CAST(sum(volume) OVER () AS double), 0)
        AS decimal(5, 2)
    ) AS share_of_session_percent,
    trades,
    quantity,
    option_series,
    CAST(put_call_ratio AS decimal(18, 2)) AS put_call_ratio
FROM "${refined_database}"."${compact_table}"
WHERE trade_date = ${trade_date}
ORDER BY volume DESC, ticker
LIMIT 20
