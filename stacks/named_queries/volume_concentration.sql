-- Concentration of volume | Concentração do volume
-- EN: How much of a session's volume is in its 1, 5, 10 and 20 most traded stocks, session by session over the last twenty? The Herfindahl-Hirschman index is the sum of the squared shares in percent, 10,000 if all is in one stock.
-- PT: Quanto do volume de um pregão está em seus 1, 5, 10 e 20 papéis mais negociados, pregão a pregão nos últimos vinte? O índice de Herfindahl-Hirschman é a soma dos quadrados das partes em por cento, 10.000 se tudo está em um papel.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Scans: 20 files of the compact table at most, a session each | no máximo 20 arquivos da tabela compacta, um por pregão
-- Needs sessions: 1
WITH sessions AS (
    SELECT trade_date, row_number() OVER (ORDER BY trade_date DESC) - 1 AS sessions_ago
    FROM "${refined_database}"."${compact_table}$$partitions"
    WHERE trade_date <= ${trade_date}
    ORDER BY trade_date DESC
    LIMIT 20
),
shares AS (
    SELECT
        daily.trade_date,
        daily.volume,
        row_number() OVER (PARTITION BY daily.trade_date ORDER BY daily.volume DESC, daily.ticker) AS place,
        100 * CAST(daily.volume AS double)
            / CAST(sum(daily.volume) OVER (PARTITION BY daily.trade_date) AS double) AS share_percent
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    WHERE daily.volume > 0
)
SELECT
    trade_date,
    count(*) AS stocks,
    sum(volume) AS volume_brl,
    round(sum(CASE WHEN place <= 1 THEN share_percent END), 2) AS top_1_percent,
    round(sum(CASE WHEN place <= 5 THEN share_percent END), 2) AS top_5_percent,
    round(sum(CASE WHEN place <= 10 THEN share_percent END), 2) AS top_10_percent,
    round(sum(CASE WHEN place <= 20 THEN share_percent END), 2) AS top_20_percent,
    round(sum(share_percent * share_percent), 0) AS herfindahl_hirschman_index
FROM shares
GROUP BY trade_date
ORDER BY trade_date DESC
