-- Data quality: raw against refined, and missing sessions | Qualidade dos dados: bruto contra refinado, e pregões que faltam
-- EN: Do raw and compact table have the same lines and volume, to the cent, in each session of a span, and is any missing that the calendar has open? With today as last_date, are the newest there? How many lines did B3 revise, and how many counts of trades (modulo 100,000 at B3) are null or doubtful, as 100,000 more would bring the volume per trade from over 2.5 times the median back to it? By how many basis points do contributions differ from the ${joined_index}'s own change and, from 5 on, what explains it?
-- PT: As tabelas bruta e compacta têm as mesmas linhas e o mesmo volume, até o centavo, em cada pregão de um período, e falta algum que o calendário dá por aberto? Com hoje em last_date, os mais novos estão lá? Quantas linhas a B3 revisou, e quantas contagens de negócios (na B3, módulo 100.000) são nulas ou duvidosas? Em quantos pontos-base as contribuições diferem da variação do próprio ${joined_index} e, a partir de 5, o que o explica?
-- Parameter: first_date | date | ${session_20_before} | First day of the span | Primeiro dia do período
-- Parameter: last_date | date | ${last_session} | Last day of the span | Último dia do período
-- Scans: of the raw and of the compact table, a file for each session of the span; by default 21 of each, and those of the sessions that B3 revised; the table of factors, one file, and that of levels, a file an index and year | das tabelas bruta e compacta, um arquivo por pregão do período; por padrão, 21 de cada, e os dos pregões que a B3 revisou; a tabela de fatores, um arquivo, e a de níveis, um por índice e ano
-- Needs sessions: 1
WITH ${calendar},
everything AS (
    SELECT
        trade_date,
        CAST(NULL AS varchar) AS ticker,
        1 AS raw_lines,
        voltot AS raw_volume,
        0 AS lines,
        0 AS volume,
        CAST(NULL AS bigint) AS trades,
        0 AS revised_lines,
        0 AS expected,
        CAST(NULL AS double) AS weight,
        CAST(NULL AS int) AS portfolio_age_days,
        CAST(NULL AS double) AS comparable,
        CAST(NULL AS varchar) AS base,
        CAST(NULL AS double) AS level,
        CAST(NULL AS varchar) AS note
    FROM "${raw_database}"."cotahist"
    UNION ALL
    SELECT
        daily.trade_date,
        daily.ticker,
        0,
        0,
        daily.lines,
        daily.volume,
        daily.trades,
        0,
        0,
        CAST(daily.index_weight AS double),
        daily.portfolio_age_days,
        CAST(daily.close AS double) * factors.total_return_base_factor,
        factors.isin || CAST(factors.total_return_base AS varchar),
        NULL,
        NULL
    FROM "${refined_database}"."${compact_table}" AS daily
    ${factors}
    UNION ALL
    SELECT trade_date, NULL, 0, 0, 0, 0, NULL, 1, 0, NULL, NULL, NULL, NULL, NULL, NULL
    FROM "${raw_database}"."cotahist_revisions"
    UNION ALL
    SELECT trade_date, NULL, 0, 0, 0, 0, NULL, 0, 1, NULL, NULL, NULL, NULL, NULL, NULL
    FROM calendar
    UNION ALL
    SELECT trade_date, NULL, 0, 0, 0, 0, NULL, 0, 0, NULL, NULL, NULL, NULL, CAST(level AS double), note
    FROM "${raw_database}"."index_level"
    WHERE index_code = '${joined_index}'
),
by_ticker AS (
    SELECT
        trade_date,
        ticker,
        sum(raw_lines) AS raw_lines,
        sum(raw_volume) AS raw_volume,
        sum(lines) AS lines,
        sum(volume) AS volume,
        sum(trades) AS trades,
        sum(revised_lines) AS revised_lines,
        max(expected) AS expected,
        max(weight) AS weight,
        max(portfolio_age_days) AS portfolio_age_days,
        max(comparable) AS comparable,
        max(base) AS base,
        max(level) AS level,
        max(note) AS note
    FROM everything
    WHERE trade_date >= ${first_date}
        AND trade_date <= ${last_date}
    GROUP BY trade_date, ticker
),
placed AS (
    SELECT *, dense_rank() OVER (ORDER BY trade_date) AS place
    FROM by_ticker
),
usual AS (
    SELECT
        *,
        approx_percentile(CAST(volume AS double) / nullif(CAST(trades AS double), 0), 0.5) OVER (
            PARTITION BY ticker
        ) AS usual_per_trade,
        -- Of a member's close since the session before, distributions reinvested
        CASE
            WHEN lag(place) OVER by_date = place - 1 AND lag(base) OVER by_date = base AND weight IS NOT NULL
                THEN comparable / nullif(lag(comparable) OVER by_date, 0) - 1
        END AS price_change
    FROM placed
    WINDOW by_date AS (PARTITION BY ticker ORDER BY trade_date)
),
counted AS (
    -- How many trades its volume would be at the ticker's usual size of one
    SELECT *, CAST(volume AS double) / nullif(usual_per_trade, 0) AS usual_trades
    FROM usual
),
by_session AS (
    SELECT
        trade_date,
        sum(raw_lines) AS raw_lines,
        sum(raw_volume) AS raw_volume,
        sum(lines) AS lines,
        sum(volume) AS volume,
        count(ticker) AS stocks,
        sum(revised_lines) AS revised_lines,
        max(expected) AS expected,
        count(CASE WHEN trades IS NULL THEN ticker END) AS without_trades,
        count(
            CASE
                WHEN usual_trades > 2.5 * trades
                    AND round((usual_trades - trades) / 100000) >= 1
                    AND abs(usual_trades / (trades + 100000 * round((usual_trades - trades) / 100000)) - 1)
                        <= 0.25
                    THEN ticker
            END
        ) AS doubtful_trades,
        max(level) AS level,
        max(note) AS note,
        max(portfolio_age_days) AS portfolio_age_days,
        sum(weight) AS weight,
        sum(CASE WHEN price_change IS NOT NULL THEN weight END) AS compared_weight,
        sum(weight * price_change) AS contributions
    FROM counted
    GROUP BY trade_date
),
beside_index AS (
    SELECT
        *,
        100 * (
            contributions
            - CASE WHEN note IS NULL THEN 100 * (level / lag(level) OVER (ORDER BY trade_date) - 1) END
        ) AS index_difference,
        CASE
            WHEN portfolio_age_days > 0 THEN 'portfolio ' || CAST(portfolio_age_days AS varchar) || ' days old; '
            ELSE ''
        END
        || CASE
            WHEN weight < 99.9995
                THEN CAST(CAST(100 - weight AS decimal(9, 3)) AS varchar) || '% of the weight not traded; '
            ELSE ''
        END
        || CASE
            WHEN compared_weight < weight - 0.0005
                THEN CAST(CAST(weight - compared_weight AS decimal(9, 3)) AS varchar)
                    || '% of the weight without a proven close before; '
            ELSE ''
        END AS reasons
    FROM by_session
)
SELECT
    trade_date,
    CASE
        WHEN raw_lines = 0 AND stocks = 0 THEN 'missing'
        WHEN stocks = 0 THEN 'not refined'
        WHEN raw_lines = 0 THEN 'not in raw'
        WHEN raw_lines <> lines OR raw_volume <> volume THEN 'differs'
        WHEN expected = 0 THEN 'complete, not in the calendar'
        ELSE 'complete'
    END AS finding,
    stocks,
    raw_lines,
    lines,
    CASE WHEN trade_date < ${first_in_brl} THEN 'CRR thousand' ELSE 'BRL' END AS currency,
    CAST(raw_volume AS decimal(24, 2)) AS raw_volume,
    CAST(volume AS decimal(24, 2)) AS volume,
    CAST(volume - raw_volume AS decimal(24, 2)) AS volume_difference,
    without_trades,
    doubtful_trades,
    revised_lines,
    CAST(index_difference AS decimal(9, 2)) AS index_difference_basis_points,
    CASE
        WHEN abs(index_difference) >= 5 THEN coalesce(nullif(reasons, ''), 'nothing known explains it')
    END AS index_difference_reason
FROM beside_index
ORDER BY trade_date DESC
