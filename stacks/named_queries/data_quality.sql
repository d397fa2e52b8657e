-- Data quality: raw against refined, and missing sessions | Qualidade dos dados: bruto contra refinado, e pregões que faltam
-- EN: Do raw and compact table have the same lines and volume, to the cent, in each session of a span, and is any session missing that the exchange's calendar has open? With today as last_date, are the newest there? In how many lines do daily and annual file differ, where a backfill compared them (cotahist_revisions)? B3 counts trades modulo 100,000: in how many rows is the count null, or doubtful, as 100,000 more would bring the volume per trade from over 2.5 times the ticker's median back to it?
-- PT: As tabelas bruta e compacta têm as mesmas linhas e o mesmo volume, até o centavo, em cada pregão de um período, e falta algum que o calendário da bolsa dá por aberto? Com hoje em last_date, os mais novos estão lá? Em quantas linhas diferem os arquivos diário e anual, onde uma carga os comparou? A B3 conta negócios módulo 100.000: em quantas linhas a contagem é nula, ou duvidosa, pois 100.000 a mais trariam o volume por negócio de mais de 2,5 vezes a mediana do papel de volta a ela?
-- Parameter: first_date | date | ${session_20_before} | First day of the span | Primeiro dia do período
-- Parameter: last_date | date | ${last_session} | Last day of the span | Último dia do período
-- Scans: of the raw and of the compact table, a file for each session of the span; by default 21 of each, and those of the sessions that B3 revised | das tabelas bruta e compacta, um arquivo por pregão do período; por padrão, 21 de cada, e os dos pregões que a B3 revisou
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
        0 AS expected
    FROM "${raw_database}"."cotahist"
    UNION ALL
    SELECT trade_date, ticker, 0, 0, lines, volume, trades, 0, 0
    FROM "${refined_database}"."${compact_table}"
    UNION ALL
    SELECT trade_date, NULL, 0, 0, 0, 0, NULL, 1, 0
    FROM "${raw_database}"."cotahist_revisions"
    UNION ALL
    SELECT trade_date, NULL, 0, 0, 0, 0, NULL, 0, 1
    FROM calendar
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
        max(expected) AS expected
    FROM everything
    WHERE trade_date >= ${first_date}
        AND trade_date <= ${last_date}
    GROUP BY trade_date, ticker
),
usual AS (
    SELECT
        *,
        approx_percentile(CAST(volume AS double) / nullif(CAST(trades AS double), 0), 0.5) OVER (
            PARTITION BY ticker
        ) AS usual_per_trade
    FROM by_ticker
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
        ) AS doubtful_trades
    FROM counted
    GROUP BY trade_date
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
    revised_lines
FROM by_session
ORDER BY trade_date DESC
