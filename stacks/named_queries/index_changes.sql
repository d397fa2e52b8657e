-- Who entered and left an index | Quem entrou em um índice e quem saiu
-- EN: Which papers entered an index and which left it between two sessions, and with what weight? Of each session counts the newest portfolio up to it. A paper that goes by another ticker since shows as one that left and one that entered, with the same ISIN. No rows where one of the sessions has no portfolio of the index.
-- PT: Que papéis entraram em um índice e quais saíram entre dois pregões, e com que peso? De cada pregão vale a carteira mais recente até ele. Um papel que mudou de código aparece como um que saiu e um que entrou, com o mesmo ISIN. Sem linhas onde um dos pregões não tem carteira do índice.
-- Parameter: first_date | date | ${session_20_before} | The first session; on a day without one, the last before it | O primeiro pregão; em dia sem pregão, o último antes dele
-- Parameter: last_date | date | ${last_session} | The last session; on a day without one, the last before it | O último pregão; em dia sem pregão, o último antes dele
-- Parameter: index_code | varchar | ${first_index} | The index, one of index_codes | O índice, um dos de index_codes
-- Scans: two files of the table of members, those of both sessions | dois arquivos da tabela de componentes, os dos dois pregões
-- Needs sessions: 2
WITH first_session AS (
    SELECT max(trade_date) AS trade_date
    FROM "${refined_database}"."${members_table}$$partitions"
    WHERE trade_date <= ${first_date}
),
last_session AS (
    SELECT max(trade_date) AS trade_date
    FROM "${refined_database}"."${members_table}$$partitions"
    WHERE trade_date <= ${last_date}
),
ends AS (
    SELECT trade_date, true AS is_first
    FROM first_session
    UNION ALL
    SELECT trade_date, false
    FROM last_session
),
papers AS (
    SELECT
        listed.index_code,
        listed.ticker,
        max(listed.isin) AS isin,
        max(listed.sector) AS sector,
        max(CASE WHEN ends.is_first THEN listed.weight END) AS weight_before,
        max(CASE WHEN NOT ends.is_first THEN listed.weight END) AS weight_after
    FROM "${refined_database}"."${members_table}" AS listed
    JOIN ends ON ends.trade_date = listed.trade_date
    WHERE listed.index_code = ${index_code}
    GROUP BY listed.index_code, listed.ticker
),
counted AS (
    SELECT
        *,
        count(weight_before) OVER () AS members_before,
        count(weight_after) OVER () AS members_after
    FROM papers
)
SELECT
    first_session.trade_date AS first_session,
    last_session.trade_date AS last_session,
    counted.index_code,
    CASE WHEN counted.weight_before IS NULL THEN 'entered' ELSE 'left' END AS change,
    counted.ticker,
    counted.isin,
    counted.sector,
    counted.weight_before AS weight_before_percent,
    counted.weight_after AS weight_after_percent,
    counted.members_before,
    counted.members_after
FROM counted
CROSS JOIN first_session
CROSS JOIN last_session
WHERE (counted.weight_before IS NULL OR counted.weight_after IS NULL)
    AND counted.members_before > 0
    AND counted.members_after > 0
ORDER BY change, coalesce(counted.weight_after, counted.weight_before) DESC, counted.ticker
