-- What went ex in a session | O que ficou ex em um pregão
-- EN: Which papers went ex in a session, by how much, and how does each event stand? And which rises of a distribution number of the last sessions does B3 still not explain? Of those, sessions_ago counts the exchange's sessions since, and is_overdue says whether they are more than ten. Amounts are gross; percent_of_close is of the close before.
-- PT: Quais papéis ficaram ex em um pregão, de quanto, e em que situação está cada evento? E quais altas do número de distribuição dos últimos pregões a B3 ainda não explica? Delas, sessions_ago conta os pregões da bolsa desde então, e is_overdue diz se são mais de dez. Os valores são brutos; percent_of_close é do fechamento anterior.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: sessions_back | bigint | 31 | How many sessions back unexplained rises are listed; B3 is asked for them for 45 days | Por quantos pregões para trás se listam altas sem explicação; a B3 é consultada por 45 dias
-- Scans: the table of events, one file | a tabela de eventos, um arquivo
-- Needs sessions: 1
WITH ${lake_sessions},
past AS (
    SELECT
        trade_date,
        max(trade_date) OVER () AS last_session,
        max(number) OVER () - number AS sessions_ago
    FROM lake_sessions
    WHERE trade_date <= ${trade_date}
)
SELECT
    past.last_session AS trade_date,
    events.ex_date,
    past.sessions_ago,
    events.status = 'unexplained' AND past.sessions_ago > 10 AS is_overdue,
    events.ticker,
    events.isin,
    events.kind,
    events.label,
    events.status,
    events.ratio,
    events.amount,
    CAST(events.close_before AS decimal(18, 4)) AS close_before,
    CAST(
        100 * CAST(events.amount AS double) / nullif(CAST(events.close_before AS double), 0) AS decimal(18, 2)
    ) AS percent_of_close,
    events.last_date_prior,
    events.payment_date,
    events.reason
FROM "${refined_database}"."${events_table}" AS events
JOIN past ON past.trade_date = events.ex_date
WHERE past.sessions_ago = 0
    OR (events.status = 'unexplained' AND past.sessions_ago <= ${sessions_back})
ORDER BY events.ex_date DESC, events.ticker, events.kind, events.label, events.amount, events.payment_date
