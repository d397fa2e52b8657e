-- Concentration of volume | Concentração do volume
-- EN: How much of a session's volume is in its 1, 5, 10 and 20 most traded stocks, session by session over the exchange's last twenty (missing_sessions: how many the lake lacks before each)? The Herfindahl-Hirschman index is the sum of the squared shares in percent, 10,000 if all is in one stock.
-- PT: Quanto do volume de um pregão está em seus 1, 5, 10 e 20 papéis mais negociados, pregão a pregão nos últimos vinte da bolsa (missing_sessions: quantos faltam no lake antes de cada um)? O índice de Herfindahl-Hirschman é a soma dos quadrados das partes em por cento, 10.000 se tudo está em um papel.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Scans: 20 files of the compact table at most, a session each | no máximo 20 arquivos da tabela compacta, um por pregão
-- Needs sessions: 1
WITH ${lake_sessions},
past AS (
    SELECT *, max(number) OVER () - number AS sessions_ago
    FROM lake_sessions
    WHERE trade_date <= ${trade_date}
),
sessions AS (
    SELECT *
    FROM past
    WHERE sessions_ago < 20
),
shares AS (
    SELECT
        daily.trade_date,
        daily.currency,
        sessions.missing_before,
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
    max(missing_before) AS missing_sessions,
    max(currency) AS currency,
    count(*) AS stocks,
    sum(volume) AS volume,
    CAST(sum(CASE WHEN place <= 1 THEN share_percent END) AS decimal(5, 2)) AS top_1_percent,
    CAST(sum(CASE WHEN place <= 5 THEN share_percent END) AS decimal(5, 2)) AS top_5_percent,
    CAST(sum(CASE WHEN place <= 10 THEN share_percent END) AS decimal(5, 2)) AS top_10_percent,
    CAST(sum(CASE WHEN place <= 20 THEN share_percent END) AS decimal(5, 2)) AS top_20_percent,
    CAST(sum(share_percent * share_percent) AS decimal(5, 0)) AS herfindahl_hirschman_index
FROM shares
GROUP BY trade_date
ORDER BY trade_date DESC
