-- 52-week highs and lows | Máximas e mínimas de 52 semanas
-- EN: Which shares and units (or what else security_types says) closed a session near their highest or their lowest price of 52 weeks (364 days)? Prices are in shares of the session, adjusted for splits and bonuses, and count from the last event on that is not proven. With less than a year of sessions, of those there are; missing_sessions says how many the lake lacks among them.
-- PT: Quais ações e units (ou o que mais disser security_types) fecharam um pregão perto do seu maior ou do seu menor preço em 52 semanas (364 dias)? Os preços são em ações do pregão, ajustados por desdobramentos e bonificações, e contam desde o último evento não provado. Com menos de um ano de pregões, dos que há; missing_sessions diz quantos faltam no lake entre eles.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: prices | varchar | 'adjusted' | Which prices are compared: adjusted (in equal shares), total_return (distributions reinvested) or traded (as they stand in the table) | Que preços se comparam: adjusted (em ações iguais), total_return (proventos reinvestidos) ou traded (como estão na tabela)
-- Parameter: security_types | varchar | 'share, unit' | Kinds of paper, of the column security_type | Tipos de papel, da coluna security_type
-- Parameter: minimum_volume | decimal | 1000000 | Least volume in the cash market in the session, in its currency | Volume mínimo à vista no pregão, na moeda dele
-- Parameter: within_percent | decimal | 5 | Greatest distance of the close from the high or the low [percent] | Maior distância entre o fechamento e a máxima ou a mínima [por cento]
-- Scans: the files of 52 weeks of the compact table, a session each, some 250, and the table of factors, one file | os arquivos de 52 semanas da tabela compacta, um por pregão, uns 250, e a tabela de fatores, um arquivo
-- Needs sessions: 1
WITH ${lake_sessions},
past AS (
    SELECT *, max(trade_date) OVER () AS last_session, max(number) OVER () - number AS sessions_ago
    FROM lake_sessions
    WHERE trade_date <= ${trade_date}
),
sessions AS (
    SELECT *
    FROM past
    WHERE trade_date > last_session - INTERVAL '364' DAY
        AND sessions_ago < 364
),
span AS (
    SELECT count(*) - (SELECT count(*) FROM sessions) AS missing_sessions
    FROM exchange
    CROSS JOIN (SELECT max(trade_date) AS last_day, max(number) AS last_number FROM sessions) AS newest
    WHERE exchange.trade_date > newest.last_day - INTERVAL '364' DAY
        AND exchange.trade_date <= newest.last_day
        AND newest.last_number - exchange.number < 364
        AND exchange.trade_date >= (SELECT min(trade_date) FROM lake_sessions)
),
${prices_asked},
every_price AS (
    SELECT
        daily.trade_date,
        daily.ticker,
        daily.company,
        daily.security_type,
        daily.currency,
        daily.high,
        daily.low,
        daily.close,
        daily.cash_volume,
        sessions.last_session,
        ${price_factor} AS factor,
        ${price_base} AS base
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    ${factors_of_prices}
    WHERE daily.close > 0
        AND contains(split(replace(${security_types}, ' ', ''), ','), daily.security_type)
),
in_the_end AS (
    SELECT
        *,
        max(CASE WHEN trade_date = last_session THEN base END) OVER (PARTITION BY ticker) AS last_base,
        max(CASE WHEN trade_date = last_session THEN factor END) OVER (PARTITION BY ticker) AS last_factor
    FROM every_price
),
comparable AS (
    SELECT
        trade_date,
        last_session,
        ticker,
        company,
        security_type,
        currency,
        close,
        cash_volume,
        CAST(high AS double) * (factor / last_factor) AS high,
        CAST(low AS double) * (factor / last_factor) AS low
    FROM in_the_end
    WHERE base = last_base
),
prices AS (
    SELECT
        *,
        max(high) OVER (PARTITION BY ticker) AS highest,
        min(low) OVER (PARTITION BY ticker) AS lowest
    FROM comparable
),
stocks AS (
    SELECT
        last_session AS trade_date,
        ticker,
        max(CASE WHEN prices.trade_date = last_session THEN company END) AS company,
        max(CASE WHEN prices.trade_date = last_session THEN security_type END) AS security_type,
        max(CASE WHEN prices.trade_date = last_session THEN currency END) AS currency,
        max(CASE WHEN prices.trade_date = last_session THEN close END) AS close,
        max(CASE WHEN prices.trade_date = last_session THEN cash_volume END) AS cash_volume,
        highest,
        max(CASE WHEN high = highest THEN prices.trade_date END) AS date_of_high,
        lowest,
        max(CASE WHEN low = lowest THEN prices.trade_date END) AS date_of_low,
        count(*) AS sessions_traded
    FROM prices
    GROUP BY last_session, ticker, highest, lowest
),
distances AS (
    SELECT
        *,
        CAST(
            100 * (1 - CAST(close AS double) / highest) AS decimal(18, 2)
        ) AS below_high_percent,
        CAST(
            100 * (CAST(close AS double) / nullif(lowest, 0) - 1) AS decimal(18, 2)
        ) AS above_low_percent
    FROM stocks
    WHERE cash_volume >= ${minimum_volume}
)
SELECT
    trade_date,
    (SELECT missing_sessions FROM span) AS missing_sessions,
    CASE WHEN below_high_percent <= above_low_percent THEN 'high' ELSE 'low' END AS near,
    ticker,
    company,
    security_type,
    currency,
    CAST(close AS decimal(18, 4)) AS close,
    CAST(highest AS decimal(18, 4)) AS high_52_weeks,
    date_of_high,
    below_high_percent,
    CAST(lowest AS decimal(18, 4)) AS low_52_weeks,
    date_of_low,
    above_low_percent,
    sessions_traded
FROM distances
WHERE least(below_high_percent, above_low_percent) <= ${within_percent}
ORDER BY near, least(below_high_percent, above_low_percent), ticker
