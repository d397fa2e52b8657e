-- Contribution to the ${joined_index} by stock | Contribuição ao ${joined_index} por papel
-- EN: Which stocks moved the ${joined_index} in a session, by weight and return? A contribution is the weight at the opening times the change of the close since the exchange's previous session, in percentage points; their sum estimates the index's change. Distributions count as reinvested, as in the index, unless prices says otherwise. Null where a stock, or the lake, lacks that close, or an event in between is not proven. The weight is exact where the portfolio is of the session (portfolio_age_days 0).
-- PT: Quais papéis moveram o ${joined_index} em um pregão, por peso e retorno? A contribuição é o peso na abertura vezes a variação do fechamento desde o pregão anterior da bolsa, em pontos percentuais; a soma estima a variação do índice. Proventos contam como reinvestidos, como no índice, salvo se prices diz outra coisa. Nula onde ao papel, ou ao lake, falta aquele fechamento, ou um evento entre os dois não está provado. O peso é exato quando a carteira é do pregão (portfolio_age_days 0).
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: prices | varchar | 'total_return' | Which prices are compared: total_return (what a holder has had, distributions reinvested), adjusted (in equal shares) or traded (as they stand in the table) | Que preços se comparam: total_return (o que o titular teve, proventos reinvestidos), adjusted (em ações iguais) ou traded (como estão na tabela)
-- Scans: 2 files of the compact table at most, a session each, and the table of factors, one file | no máximo 2 arquivos da tabela compacta, um por pregão, e a tabela de fatores, um arquivo
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
${prices_asked},
prices AS (
    SELECT
        daily.trade_date,
        daily.ticker,
        daily.company,
        daily.sector,
        daily.index_weight,
        daily.portfolio_age_days,
        daily.close,
        sessions.sessions_ago,
        sessions.previous_session,
        sessions.missing_before,
        ${price_factor} AS factor,
        ${price_base} AS base
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    ${factors_of_prices}
),
${compared},
contributions AS (
    SELECT
        *,
        CAST(close AS double) / nullif(CAST(previous_close AS double), 0) - 1 AS price_change
    FROM compared
    WHERE sessions_ago = 0
        AND index_weight IS NOT NULL
        AND close IS NOT NULL
)
SELECT
    trade_date,
    previous_session,
    missing_before AS missing_sessions,
    ticker,
    company,
    sector,
    index_weight AS index_weight_percent,
    CAST(100 * price_change AS decimal(9, 2)) AS change_percent,
    CAST(CAST(index_weight AS double) * price_change AS decimal(9, 4)) AS contribution_points,
    CAST(sum(CAST(index_weight AS double) * price_change) OVER () AS decimal(9, 4)) AS index_change_percent,
    portfolio_age_days
FROM contributions
ORDER BY CAST(index_weight AS double) * price_change DESC NULLS LAST, ticker
