-- Data quality: raw against refined, and missing sessions | Qualidade dos dados: bruto contra refinado, e pregões que faltam
-- EN: Does each session of a span have the same quotes and volume, to the cent, in the raw and in the compact table, and is any session missing? Expected are the weekdays of 2005 to 2031 but for those on which the exchange's calendar of the deployment has it closed; B3 knows better. With today as last_date it also tells whether the newest are there.
-- PT: Cada pregão de um período tem as mesmas linhas e o mesmo volume, até o centavo, na tabela bruta e na compacta, e falta algum? Esperam-se os dias úteis de 2005 a 2031, menos aqueles em que o calendário da bolsa, na implantação, a dá por fechada; a B3 sabe melhor. Com hoje em last_date, diz também se os mais novos estão lá.
-- Parameter: first_date | date | ${session_20_before} | First day of the span | Primeiro dia do período
-- Parameter: last_date | date | ${last_session} | Last day of the span | Último dia do período
-- Scans: of the raw and of the compact table, a file for each session of the span; by default 21 of each | das tabelas bruta e compacta, um arquivo por pregão do período; por padrão, 21 de cada
-- Needs sessions: 1
WITH calendar AS (
    SELECT CAST(days.trade_date AS date) AS trade_date
    FROM UNNEST(sequence(${calendar_begin}, ${calendar_end}, INTERVAL '1' DAY)) AS days (trade_date)
    WHERE day_of_week(days.trade_date) <= 5
        AND days.trade_date NOT IN (${weekdays_without_session})
),
everything AS (
    SELECT
        trade_date,
        1 AS raw_lines,
        voltot AS raw_volume,
        0 AS lines,
        0 AS volume,
        0 AS stocks,
        0 AS expected
    FROM "${raw_database}"."cotahist"
    UNION ALL
    SELECT trade_date, 0, 0, lines, volume, 1, 0
    FROM "${refined_database}"."${compact_table}"
    UNION ALL
    SELECT trade_date, 0, 0, 0, 0, 0, 1
    FROM calendar
),
by_session AS (
    SELECT
        trade_date,
        sum(raw_lines) AS raw_lines,
        sum(raw_volume) AS raw_volume,
        sum(lines) AS lines,
        sum(volume) AS volume,
        sum(stocks) AS stocks,
        max(expected) AS expected
    FROM everything
    WHERE trade_date BETWEEN ${first_date} AND ${last_date}
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
    CAST(raw_volume AS decimal(24, 2)) AS raw_volume_brl,
    CAST(volume AS decimal(24, 2)) AS volume_brl,
    CAST(volume - raw_volume AS decimal(24, 2)) AS volume_difference_brl
FROM by_session
ORDER BY trade_date DESC
