-- Option expiries ahead | Vencimentos de opções à frente
-- EN: On which stocks do options expire soon, and how much was traded in them? The expiry is the earliest among the series that traded in the session.
-- PT: Sobre quais papéis há opções que vencem em breve, e quanto se negociou nelas? O vencimento é o mais próximo entre as séries negociadas no pregão.
-- Parameter: trade_date | date | ${last_session} | The session | O pregão
-- Parameter: days_ahead | bigint | 30 | Greatest number of days from the session to the expiry | Maior número de dias do pregão ao vencimento
-- Scans: one file of the compact table, the session's | um arquivo da tabela compacta, o do pregão
-- Needs sessions: 1
SELECT
    trade_date,
    next_expiry,
    days_to_expiry,
    ticker,
    company,
    currency,
    option_series,
    call_volume,
    put_volume,
    CAST(close AS decimal(18, 4)) AS close
FROM "${refined_database}"."${compact_table}"
WHERE trade_date = ${trade_date}
    AND option_series > 0
    AND days_to_expiry <= ${days_ahead}
ORDER BY days_to_expiry, call_volume + put_volume DESC, ticker
