-- Returns and annualised volatility over 21 sessions | Retornos e volatilidade anualizada em 21 pregões
-- EN: Which shares and units (or what else security_types says) swung most over the exchange's last 21 sessions, and what did they return? Volatility is the sample standard deviation of the daily log returns times the root of 252. A daily return is between consecutive sessions of the exchange (daily_returns; at least 11). Only stocks with a close in each session that the lake has. Distributions count as reinvested, unless prices says otherwise; no return reaches across an event that is not proven (null).
-- PT: Quais ações e units (ou o que mais disser security_types) mais oscilaram nos últimos 21 pregões da bolsa, e quanto renderam? A volatilidade é o desvio-padrão amostral dos retornos logarítmicos diários vezes a raiz de 252. Um retorno diário é entre pregões seguidos da bolsa (daily_returns; ao menos 11). Só papéis com fechamento em cada pregão que o lake tem. Proventos contam como reinvestidos, salvo se prices diz outra coisa; nenhum retorno atravessa um evento não provado (nulo).
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: prices | varchar | 'total_return' | Which prices are compared: total_return (what a holder has had, distributions reinvested), adjusted (in equal shares) or traded (as they stand in the table) | Que preços se comparam: total_return (o que o titular teve, proventos reinvestidos), adjusted (em ações iguais) ou traded (como estão na tabela)
-- Parameter: security_types | varchar | 'share, unit' | Kinds of paper, of the column security_type | Tipos de papel, da coluna security_type
-- Parameter: minimum_average_volume | decimal | 1000000 | Least average of the daily volume in the cash market, in its currency | Média mínima do volume diário à vista, na moeda dele
-- Scans: 22 files of the compact table at most, a session each, and the table of factors, one file | no máximo 22 arquivos da tabela compacta, um por pregão, e a tabela de fatores, um arquivo
-- Needs sessions: 12
WITH ${lake_sessions},
past AS (
    SELECT *, max(number) OVER () - number AS sessions_ago
    FROM lake_sessions
    WHERE trade_date <= ${trade_date}
),
sessions AS (
    SELECT *
    FROM past
    WHERE sessions_ago < 22
),
span AS (
    SELECT
        min(trade_date) AS first_session,
        sum(least(coalesce(missing_before, 0), 21 - sessions_ago)) AS missing_sessions,
        count(*) AS sessions_there
    FROM sessions
),
${prices_asked},
prices AS (
    SELECT
        daily.trade_date,
        daily.ticker,
        daily.company,
        daily.security_type,
        daily.currency,
        daily.cash_volume,
        CAST(daily.close AS double) AS close,
        CAST(daily.close AS double) * ${price_factor} AS comparable,
        ${price_base} AS base,
        sessions.number
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    ${factors_of_prices}
    WHERE daily.close > 0
        AND contains(split(replace(${security_types}, ' ', ''), ','), daily.security_type)
),
closes AS (
    SELECT
        *,
        CASE
            WHEN lag(number) OVER by_ticker = number - 1 AND lag(base) OVER by_ticker = base
                THEN comparable / lag(comparable) OVER by_ticker
        END AS step
    FROM prices
    WINDOW by_ticker AS (PARTITION BY ticker ORDER BY trade_date)
),
stocks AS (
    SELECT
        max(trade_date) AS trade_date,
        ticker,
        max_by(company, trade_date) AS company,
        max_by(security_type, trade_date) AS security_type,
        max_by(currency, trade_date) AS currency,
        max_by(close, trade_date) AS close,
        CASE
            WHEN count(base) = count(*) AND min(base) = max(base)
                THEN max_by(comparable, trade_date) / min_by(comparable, trade_date) - 1
        END AS price_change,
        count(*) AS closes,
        count(step) AS daily_returns,
        stddev_samp(ln(step)) AS volatility,
        avg(CAST(cash_volume AS double)) AS average_volume
    FROM closes
    GROUP BY ticker
)
SELECT
    stocks.trade_date,
    span.first_session,
    span.missing_sessions,
    stocks.ticker,
    stocks.company,
    stocks.security_type,
    stocks.currency,
    CAST(stocks.close AS decimal(18, 4)) AS close,
    CAST(100 * stocks.price_change AS decimal(18, 2)) AS return_percent,
    stocks.daily_returns,
    CAST(100 * stocks.volatility * sqrt(252) AS decimal(18, 2)) AS annualised_volatility_percent,
    -- To four digits first: what is half a cent is so in any engine, and is rounded up
    CAST(CAST(stocks.average_volume AS decimal(28, 4)) AS decimal(24, 2)) AS average_cash_volume
FROM stocks
CROSS JOIN span
WHERE stocks.closes = span.sessions_there
    AND stocks.daily_returns >= 11
    AND stocks.average_volume >= ${minimum_average_volume}
ORDER BY stocks.volatility DESC, stocks.ticker
