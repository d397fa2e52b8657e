-- Dividend yield of twelve months | Dividend yield de doze meses
-- EN: What did each share and unit (or what else security_types says) go ex of in cash in the twelve months up to a session, in shares of that session, and how much of its close is it? Only proven events, gross; subscription rights are none. Null where an event of these months is not proven, or where the lake begins later than they do; reason says why.
-- PT: De quanto dinheiro cada ação e unit (ou o que mais disser security_types) ficou ex nos doze meses até um pregão, em ações daquele pregão, e quanto é do fechamento? Só eventos provados, brutos; direitos de subscrição não contam. Nulo onde um evento desses meses não está provado, ou onde o lake começa depois deles; reason diz por quê.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: security_types | varchar | 'share, unit' | Kinds of paper, of the column security_type | Tipos de papel, da coluna security_type
-- Parameter: minimum_volume | decimal | 1000000 | Least volume in the cash market in the session, in its currency | Volume mínimo à vista no pregão, na moeda dele
-- Scans: one file of the compact table, the session's, and the tables of events and of factors, a file each | um arquivo da tabela compacta, o do pregão, e as tabelas de eventos e de fatores, um arquivo cada
-- Needs sessions: 1
WITH months AS (
    SELECT
        max(trade_date) AS trade_date,
        CAST(max(trade_date) - INTERVAL '12' MONTH AS date) AS since,
        min(trade_date) AS lake_begins
    FROM "${refined_database}"."${compact_table}$$partitions"
    WHERE trade_date <= ${trade_date}
),
spans AS (
    SELECT
        *,
        row_number() OVER (PARTITION BY isin ORDER BY first_session) AS place,
        lag(first_session) OVER (PARTITION BY isin ORDER BY first_session DESC) AS next_session
    FROM "${refined_database}"."${factors_table}"
),
stocks AS (
    SELECT
        daily.trade_date,
        months.since,
        months.lake_begins,
        daily.ticker,
        daily.company,
        daily.security_type,
        daily.isin,
        daily.currency,
        CAST(daily.close AS double) AS close,
        now_in.split_base_factor AS split_factor,
        then_in.total_return_base = now_in.total_return_base AS is_proven,
        then_in.reason,
        then_in.isin IS NULL AS is_without_factors
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN months ON months.trade_date = daily.trade_date
    LEFT JOIN spans AS now_in
        ON now_in.isin = daily.isin
        AND now_in.first_session <= daily.trade_date
        AND now_in.last_session >= daily.trade_date
    -- The span that held when these months began, or the paper's first, if it is younger
    LEFT JOIN spans AS then_in
        ON then_in.isin = daily.isin
        AND (then_in.first_session <= months.since OR then_in.place = 1)
        AND (then_in.next_session > months.since OR then_in.next_session IS NULL)
    WHERE daily.close > 0
        AND contains(split(replace(${security_types}, ' ', ''), ','), daily.security_type)
        AND daily.cash_volume >= ${minimum_volume}
),
paid AS (
    -- An amount is for the shares of before its ex-date
    SELECT
        events.isin,
        count(*) AS payments,
        sum(CAST(events.amount AS double) * spans.split_base_factor) AS amount
    FROM "${refined_database}"."${events_table}" AS events
    CROSS JOIN months
    JOIN spans
        ON spans.isin = events.isin
        AND spans.first_session < events.ex_date
        AND (spans.next_session >= events.ex_date OR spans.next_session IS NULL)
    WHERE events.status = 'proven'
        AND events.kind IN ('dividend', 'interest', 'income', 'other_cash')
        AND events.ex_date > months.since
        AND events.ex_date <= months.trade_date
    GROUP BY events.isin
),
yields AS (
    SELECT
        stocks.*,
        coalesce(paid.payments, 0) AS payments,
        CASE
            WHEN stocks.is_proven AND stocks.lake_begins <= stocks.since
                THEN coalesce(paid.amount, 0) / stocks.split_factor
        END AS cash,
        CASE
            WHEN stocks.isin IS NULL THEN 'no ISIN'
            WHEN stocks.is_without_factors THEN 'refined before factors were made: run the job once more'
            WHEN coalesce(stocks.is_proven, FALSE) = FALSE THEN stocks.reason
            WHEN stocks.lake_begins > stocks.since THEN 'the lake begins later than these months'
        END AS why_null
    FROM stocks
    LEFT JOIN paid ON paid.isin = stocks.isin
)
SELECT
    yields.trade_date,
    yields.since,
    yields.ticker,
    yields.company,
    yields.security_type,
    yields.currency,
    CAST(yields.close AS decimal(18, 4)) AS close,
    yields.payments,
    CAST(yields.cash AS decimal(18, 6)) AS cash_per_share,
    CAST(100 * yields.cash / yields.close AS decimal(18, 2)) AS dividend_yield_percent,
    yields.why_null AS reason
FROM yields
ORDER BY yields.cash / yields.close DESC NULLS LAST, yields.ticker
