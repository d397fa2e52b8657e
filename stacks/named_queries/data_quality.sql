-- Data quality: raw against refined, and missing sessions | Qualidade dos dados: bruto contra refinado, e pregões que faltam
-- EN: Does each session of a span have the same quotes and volume, to the cent, in the raw and in the compact table, and is any missing? Expected are the weekdays of 2005 to 2031 that the exchange's calendar of the deployment has open; B3 knows better. With today as last_date, are the newest there? B3 counts trades modulo 100,000: of how many rows is the count null, or doubtful, as 100,000 more, or a multiple, bring the volume per trade from over 2.5 times the ticker's median back to it?
-- PT: Cada pregão de um período tem as mesmas linhas e o mesmo volume, até o centavo, nas tabelas bruta e compacta, e falta algum? Esperam-se os dias úteis de 2005 a 2031 em que o calendário da bolsa, na implantação, a dá por aberta; a B3 sabe melhor. Com hoje em last_date, os mais novos estão lá? A B3 conta negócios módulo 100.000: em quantas linhas a contagem é nula, ou duvidosa, pois 100.000 a mais, ou um múltiplo, trazem o volume por negócio de mais de 2,5 vezes a mediana do papel de volta a ela?
-- Parameter: first_date | date | ${session_20_before} | First day of the span | Primeiro dia do período
-- Parameter: last_date | date | ${last_session} | Last day of the span | Último dia do período
-- Scans: of the raw and of the compact table, a file for each session of the span; by default 21 of each | das tabelas bruta e compacta, um arquivo por pregão do período; por padrão, 21 de cada
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
        0 AS expected
    FROM "${raw_database}"."cotahist"
    UNION ALL
    SELECT trade_date, ticker, 0, 0, lines, volume, trades, 0
    FROM "${refined_database}"."${compact_table}"
    UNION ALL
    SELECT trade_date, NULL, 0, 0, 0, 0, NULL, 1
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
    doubtful_trades
FROM by_session
ORDER BY trade_date DESC
