-- Total return over a span | Retorno total em um período
-- EN: What did each share and unit (or what else security_types says) return from the close of one session to that of another: by its price as traded, in equal shares (split-adjusted), and with distributions reinvested? from_distributions is the difference of the latter two, in points. Null where an event in between is not proven, as reason says.
-- PT: Quanto rendeu cada ação e unit (ou o que mais disser security_types) do fechamento de um pregão ao de outro: pelo preço negociado, em ações iguais (ajustado por desdobramentos) e com proventos reinvestidos? from_distributions é a diferença dos dois últimos, em pontos. Nulo onde um evento no período não está provado, como diz reason.
-- Parameter: first_date | date | ${session_20_before} | The session from whose close; on a day without one, the last before it | O pregão de cujo fechamento se parte; em dia sem pregão, o último antes dele
-- Parameter: last_date | date | ${last_session} | The session to whose close; on a day without one, the last before it | O pregão a cujo fechamento se chega; em dia sem pregão, o último antes dele
-- Parameter: security_types | varchar | 'share, unit' | Kinds of paper, of the column security_type | Tipos de papel, da coluna security_type
-- Parameter: minimum_volume | decimal | 1000000 | Least volume in the cash market in the last session, in its currency | Volume mínimo à vista no último pregão, na moeda dele
-- Scans: two files of the compact table, those of both sessions, and the table of factors, one file | dois arquivos da tabela compacta, os dos dois pregões, e a tabela de fatores, um arquivo
-- Needs sessions: 1
WITH first_session AS (
    SELECT max(trade_date) AS trade_date
    FROM "${refined_database}"."${compact_table}$$partitions"
    WHERE trade_date <= ${first_date}
),
last_session AS (
    SELECT max(trade_date) AS trade_date
    FROM "${refined_database}"."${compact_table}$$partitions"
    WHERE trade_date <= ${last_date}
),
begins AS (
    SELECT
        daily.isin,
        daily.currency,
        CAST(daily.close AS double) AS close,
        CAST(daily.close AS double) * factors.split_base_factor AS adjusted,
        factors.split_base,
        CAST(daily.close AS double) * factors.total_return_base_factor AS reinvested,
        factors.total_return_base,
        factors.reason
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN first_session ON first_session.trade_date = daily.trade_date
    ${factors}
    WHERE daily.close > 0
),
ends AS (
    SELECT
        daily.trade_date,
        daily.ticker,
        daily.company,
        daily.security_type,
        daily.isin,
        daily.currency,
        daily.cash_volume,
        CAST(daily.close AS double) AS close,
        CAST(daily.close AS double) * factors.split_base_factor AS adjusted,
        factors.split_base,
        CAST(daily.close AS double) * factors.total_return_base_factor AS reinvested,
        factors.total_return_base,
        factors.reason,
        factors.isin IS NULL AS is_without_factors
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN last_session ON last_session.trade_date = daily.trade_date
    ${factors}
    WHERE daily.close > 0
),
stocks AS (
    SELECT
        ends.trade_date,
        first_session.trade_date AS first_session,
        ends.ticker,
        ends.company,
        ends.security_type,
        ends.currency,
        begins.close AS first_close,
        ends.close AS last_close,
        CASE WHEN begins.currency = ends.currency THEN 100 * (ends.close / begins.close - 1) END AS price_return,
        CASE
            WHEN begins.split_base = ends.split_base THEN 100 * (ends.adjusted / begins.adjusted - 1)
        END AS adjusted_return,
        CASE
            WHEN begins.total_return_base = ends.total_return_base
                THEN 100 * (ends.reinvested / begins.reinvested - 1)
        END AS total_return,
        CASE
            WHEN begins.isin IS NULL THEN 'no close of this ISIN in the first session'
            WHEN ends.is_without_factors THEN 'refined before factors were made: run the job once more'
            WHEN begins.total_return_base = ends.total_return_base THEN NULL
            ELSE coalesce(begins.reason, ends.reason)
        END AS reason
    FROM ends
    CROSS JOIN first_session
    LEFT JOIN begins ON begins.isin = ends.isin
    WHERE contains(split(replace(${security_types}, ' ', ''), ','), ends.security_type)
        AND ends.cash_volume >= ${minimum_volume}
)
SELECT
    stocks.trade_date,
    stocks.first_session,
    stocks.ticker,
    stocks.company,
    stocks.security_type,
    stocks.currency,
    CAST(stocks.first_close AS decimal(18, 4)) AS first_close,
    CAST(stocks.last_close AS decimal(18, 4)) AS close,
    CAST(stocks.price_return AS decimal(18, 2)) AS price_return_percent,
    CAST(stocks.adjusted_return AS decimal(18, 2)) AS adjusted_return_percent,
    CAST(stocks.total_return AS decimal(18, 2)) AS total_return_percent,
    CAST(stocks.total_return - stocks.adjusted_return AS decimal(18, 2)) AS from_distributions_points,
    stocks.reason
FROM stocks
ORDER BY stocks.total_return DESC NULLS LAST, stocks.ticker
