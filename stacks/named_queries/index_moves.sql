-- Moves of the indices in a session | Variações dos índices em um pregão
-- EN: How did each index move in a session, by B3's own closes, against the exchange's previous session? Null where the lake lacks that close, or where note says that the two are not to be held against each other, as after a new base.
-- PT: Quanto variou cada índice em um pregão, pelos fechamentos da própria B3, em relação ao pregão anterior da bolsa? Nulo onde ao lake falta aquele fechamento, ou onde note diz que os dois não se comparam, como depois de uma base nova.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Scans: the table of levels, a file an index and year | a tabela de níveis, um arquivo por índice e ano
-- Needs sessions: 1
WITH ${lake_sessions},
past AS (
    SELECT *, max(number) OVER () - number AS sessions_ago
    FROM lake_sessions
    WHERE trade_date <= ${trade_date}
),
session AS (
    SELECT trade_date, previous_session
    FROM past
    WHERE sessions_ago = 0
)
SELECT
    session.trade_date,
    session.previous_session,
    today.index_code,
    today.level,
    earlier.level AS previous_level,
    CASE WHEN today.note IS NULL THEN today.level - earlier.level END AS change_points,
    CASE
        WHEN today.note IS NULL
            THEN CAST(100 * (CAST(today.level AS double) / CAST(earlier.level AS double) - 1) AS decimal(9, 2))
    END AS change_percent,
    today.note
FROM session
JOIN "${raw_database}"."index_level" AS today ON today.trade_date = session.trade_date
LEFT JOIN "${raw_database}"."index_level" AS earlier
    ON earlier.trade_date = session.previous_session
    AND earlier.index_code = today.index_code
ORDER BY change_percent DESC NULLS LAST, today.index_code
