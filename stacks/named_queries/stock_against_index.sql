-- A stock against an index | Um papel contra um índice
-- EN: Has a stock beaten an index over the exchange's last 60 and 250 sessions, and how does it move with it? relative_return is what the stock made beyond the index, (1 + stock) / (1 + index) - 1. Beta is the slope of its daily returns on the index's, both between consecutive sessions and of days on which both have a close (daily_returns; null with fewer than half of the span's). Distributions count as reinvested, as in the IBOV, unless prices says otherwise; no return reaches across an event that is not proven, or a new base of the index.
-- PT: Um papel superou um índice nos últimos 60 e 250 pregões da bolsa, e como se move com ele? relative_return é o que rendeu além dele, (1 + papel) / (1 + índice) - 1. O beta é a inclinação dos retornos diários sobre os do índice, entre pregões seguidos em que ambos têm fechamento (daily_returns; nulo com menos da metade). Proventos reinvestidos, salvo se prices diz outra coisa; nenhum retorno atravessa evento não provado nem base nova do índice.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: index_code | varchar | ${first_index} | The index, one of index_codes | O índice, um dos de index_codes
-- Parameter: prices | varchar | 'total_return' | Which prices are compared: total_return (what a holder has had, distributions reinvested), adjusted (in equal shares) or traded (as they stand in the table) | Que preços se comparam: total_return (o que o titular teve, proventos reinvestidos), adjusted (em ações iguais) ou traded (como estão na tabela)
-- Parameter: ticker | varchar | ${most_traded_ticker} | The ticker | O código de negociação
-- Scans: 251 files of the compact table at most, a session each, the table of factors, one file, and the table of levels, a file an index and year | no máximo 251 arquivos da tabela compacta, um por pregão, a tabela de fatores, um arquivo, e a tabela de níveis, um arquivo por índice e ano
-- Needs sessions: 2
WITH ${lake_sessions},
past AS (
    SELECT *, max(number) OVER () - number AS sessions_ago
    FROM lake_sessions
    WHERE trade_date <= ${trade_date}
),
sessions AS (
    SELECT *
    FROM past
    WHERE sessions_ago <= 250
),
levels AS (
    SELECT trade_date, index_code, CAST(level AS double) AS level, note
    FROM "${raw_database}"."index_level"
    WHERE index_code = ${index_code}
),
${prices_asked},
prices AS (
    SELECT
        daily.trade_date,
        daily.ticker,
        daily.company,
        CAST(daily.close AS double) * ${price_factor} AS comparable,
        ${price_base} AS base,
        sessions.number,
        sessions.sessions_ago
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    ${factors_of_prices}
    WHERE daily.ticker = ${ticker}
        AND daily.close > 0
),
steps AS (
    SELECT
        prices.*,
        levels.index_code,
        levels.level,
        levels.note,
        CASE
            WHEN lag(prices.number) OVER in_order = prices.number - 1
                AND lag(prices.base) OVER in_order = prices.base
                AND levels.note IS NULL
                THEN prices.comparable / lag(prices.comparable) OVER in_order - 1
        END AS stock_step,
        CASE
            WHEN lag(prices.number) OVER in_order = prices.number - 1
                AND lag(prices.base) OVER in_order = prices.base
                AND levels.note IS NULL
                THEN levels.level / lag(levels.level) OVER in_order - 1
        END AS index_step
    FROM prices
    JOIN levels ON levels.trade_date = prices.trade_date
    WINDOW in_order AS (ORDER BY prices.number)
),
spans AS (
    SELECT spans.sessions
    FROM (
        VALUES 60, 250
    ) AS spans (sessions)
),
of_span AS (
    -- The span's first row is the close that its first return is from
    SELECT
        steps.*,
        spans.sessions,
        CASE WHEN steps.sessions_ago < spans.sessions THEN steps.stock_step END AS stock_return,
        CASE WHEN steps.sessions_ago < spans.sessions THEN steps.index_step END AS index_return,
        row_number() OVER (PARTITION BY spans.sessions ORDER BY steps.number) AS place
    FROM steps
    JOIN spans ON steps.sessions_ago <= spans.sessions
),
figures AS (
    SELECT
        sessions,
        index_code,
        ticker,
        max_by(company, number) AS company,
        min(trade_date) AS first_session,
        max(trade_date) AS last_session,
        count(stock_return) AS daily_returns,
        CASE
            WHEN count(base) = count(*) AND min(base) = max(base)
                THEN max_by(comparable, number) / min_by(comparable, number)
        END AS stock_growth,
        CASE
            WHEN count(CASE WHEN place > 1 THEN note END) = 0
                THEN max_by(level, number) / min_by(level, number)
        END AS index_growth,
        regr_slope(stock_return, index_return) AS beta,
        corr(stock_return, index_return) AS correlation
    FROM of_span
    GROUP BY sessions, index_code, ticker
)
SELECT
    last_session,
    first_session,
    sessions,
    ticker,
    company,
    index_code,
    CAST(100 * (stock_growth - 1) AS decimal(18, 2)) AS stock_return_percent,
    CAST(100 * (index_growth - 1) AS decimal(18, 2)) AS index_return_percent,
    CAST(100 * (stock_growth / index_growth - 1) AS decimal(18, 2)) AS relative_return_percent,
    CASE WHEN daily_returns * 2 >= sessions THEN CAST(beta AS decimal(9, 4)) END AS beta,
    CASE WHEN daily_returns * 2 >= sessions THEN CAST(correlation AS decimal(9, 4)) END AS correlation,
    daily_returns
FROM figures
ORDER BY sessions
