-- Corporate actions of a paper | Proventos e eventos de um papel
-- EN: What did a paper pay, split and offer, newest first, and how does each event stand? The paper is the ISIN that has the ticker now or had it on an ex-date, so that a new ticker keeps its history. Events that are not ex yet come first, without ex_date. Amounts are gross, per share of that day.
-- PT: O que um papel pagou, desdobrou e ofereceu, do mais novo ao mais antigo, e em que situação está cada evento? O papel é o ISIN que tem o código agora ou o tinha em uma data ex: um código novo mantém a história. Os que ainda não ficaram ex vêm primeiro, sem ex_date. Os valores são brutos, por ação daquele dia.
-- Parameter: ticker | varchar | ${most_traded_ticker} | The ticker | O código de negociação
-- Scans: the table of events, one file, and one of the compact table, the last session's, for the ISIN | a tabela de eventos, um arquivo, e um da tabela compacta, o do último pregão, pelo ISIN
-- Needs sessions: 1
WITH last_session AS (
    SELECT max(trade_date) AS trade_date
    FROM "${refined_database}"."${compact_table}$$partitions"
),
papers AS (
    SELECT isin, ticker
    FROM "${refined_database}"."${events_table}"
    UNION
    SELECT daily.isin, daily.ticker
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN last_session ON last_session.trade_date = daily.trade_date
),
wanted AS (
    SELECT DISTINCT isin
    FROM papers
    WHERE ticker = ${ticker}
)
SELECT
    events.ex_date,
    events.ticker,
    events.isin,
    events.kind,
    events.label,
    events.status,
    events.ratio,
    events.amount,
    CAST(events.close_before AS decimal(18, 4)) AS close_before,
    events.split_factor,
    events.total_return_factor,
    events.last_date_prior,
    events.payment_date,
    events.reason
FROM "${refined_database}"."${events_table}" AS events
JOIN wanted ON wanted.isin = events.isin
ORDER BY
    events.ex_date DESC NULLS FIRST,
    events.last_date_prior DESC,
    events.isin,
    events.kind,
    events.label,
    events.amount,
    events.payment_date
