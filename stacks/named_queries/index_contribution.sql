-- Contribution to an index by stock | Contribuição a um índice por papel
-- EN: Which members moved an index in a session? A contribution is the weight at the opening times the change of the close since the exchange's previous session; contributions_points is their sum, index_change_percent what the index did by B3's own closes, difference_points what lies between. Null where a close is lacking, or an event in between is not proven. The weight is exact where the portfolio is of the session (portfolio_age_days 0). Distributions count as reinvested, as in the IBOV, unless prices says otherwise.
-- PT: Que componentes moveram um índice em um pregão? A contribuição é o peso na abertura vezes a variação do fechamento desde o pregão anterior; contributions_points é a soma, index_change_percent a variação do índice pelos fechamentos da B3, difference_points o que as separa. Nula onde falta um fechamento, ou um evento não está provado. O peso é exato quando a carteira é do pregão (portfolio_age_days 0). Proventos reinvestidos, salvo se prices diz outra coisa.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: index_code | varchar | ${first_index} | The index, one of index_codes | O índice, um dos de index_codes
-- Parameter: prices | varchar | 'total_return' | Which prices are compared: total_return (what a holder has had, distributions reinvested), adjusted (in equal shares) or traded (as they stand in the table) | Que preços se comparam: total_return (o que o titular teve, proventos reinvestidos), adjusted (em ações iguais) ou traded (como estão na tabela)
-- Scans: 2 files of the compact table at most, a session each, one of the table of members, the table of factors, one file, and the table of levels, a file an index and year | no máximo 2 arquivos da tabela compacta, um por pregão, um da tabela de componentes, a tabela de fatores, um arquivo, e a tabela de níveis, um arquivo por índice e ano
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
    WHERE sessions_ago < 2
),
session AS (
    SELECT trade_date, previous_session, missing_before
    FROM past
    WHERE sessions_ago = 0
),
members AS (
    SELECT
        listed.index_code,
        listed.ticker,
        listed.sector,
        listed.weight,
        listed.portfolio_age_days,
        session.trade_date,
        session.previous_session,
        session.missing_before
    FROM "${refined_database}"."${members_table}" AS listed
    JOIN session ON session.trade_date = listed.trade_date
    WHERE listed.index_code = ${index_code}
),
levels AS (
    SELECT
        levels.index_code,
        max(CASE WHEN levels.trade_date = session.trade_date AND levels.note IS NULL THEN levels.level END) AS level,
        max(CASE WHEN levels.trade_date = session.previous_session THEN levels.level END) AS previous_level
    FROM "${raw_database}"."index_level" AS levels
    CROSS JOIN session
    GROUP BY levels.index_code
),
${prices_asked},
prices AS (
    SELECT
        daily.trade_date,
        daily.ticker,
        daily.company,
        daily.close,
        sessions.sessions_ago,
        ${price_factor} AS factor,
        ${price_base} AS base
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    ${factors_of_prices}
),
${compared},
contributions AS (
    SELECT
        members.*,
        compared.company,
        asked.prices,
        CAST(compared.close AS double) / nullif(CAST(compared.previous_close AS double), 0) - 1 AS price_change,
        100 * (CAST(levels.level AS double) / CAST(levels.previous_level AS double) - 1) AS index_change
    FROM members
    CROSS JOIN asked
    LEFT JOIN compared ON compared.ticker = members.ticker AND compared.sessions_ago = 0
    LEFT JOIN levels ON levels.index_code = members.index_code
),
summed AS (
    SELECT *, sum(CAST(weight AS double) * price_change) OVER () AS contributions
    FROM contributions
)
SELECT
    trade_date,
    previous_session,
    missing_before AS missing_sessions,
    index_code,
    ticker,
    company,
    sector,
    weight AS index_weight_percent,
    CAST(100 * price_change AS decimal(9, 2)) AS change_percent,
    CAST(CAST(weight AS double) * price_change AS decimal(9, 4)) AS contribution_points,
    CAST(contributions AS decimal(9, 4)) AS contributions_points,
    CAST(index_change AS decimal(9, 4)) AS index_change_percent,
    CAST(contributions - index_change AS decimal(9, 4)) AS difference_points,
    portfolio_age_days
FROM summed
ORDER BY CAST(weight AS double) * price_change DESC NULLS LAST, ticker
