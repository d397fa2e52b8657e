-- Session overview and breadth | Resumo do pregão: altas e baixas
-- EN: How was the session: how many shares and units (or what else security_types says) rose and fell against their close in the exchange's previous session, with how much volume, and how much was traded in all papers? Where the lake lacks the previous session, nothing is comparable. That close is adjusted for what went ex since, unless prices says otherwise; a stock with an event in between that is not proven is not comparable.
-- PT: Como foi o pregão: quantas ações e units (ou o que mais disser security_types) subiram e caíram em relação ao fechamento no pregão anterior da bolsa, com que volume, e quanto se negociou em todos os papéis? Onde o lake não tem o pregão anterior, nada é comparável. Ele é ajustado pelo que ficou ex desde então, salvo se prices diz outra coisa; papel com um evento não provado entre os dois não é comparável.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: security_types | varchar | 'share, unit' | Kinds of paper, of the column security_type | Tipos de papel, da coluna security_type
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
kinds AS (
    SELECT kind
    FROM (
        VALUES 'share', 'unit', 'right', 'fund', 'etf', 'bdr', 'index', 'other'
    ) AS every_kind (kind)
    WHERE contains(split(replace(${security_types}, ' ', ''), ','), kind)
),
${prices_asked},
prices AS (
    SELECT
        daily.trade_date,
        daily.ticker,
        daily.currency,
        daily.volume,
        daily.cash_volume,
        daily.call_volume,
        daily.put_volume,
        daily.trades,
        sessions.sessions_ago,
        sessions.previous_session,
        sessions.missing_before,
        kinds.kind,
        CASE WHEN kinds.kind IS NOT NULL THEN daily.close END AS close,
        ${price_factor} AS factor,
        ${price_base} AS base
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    ${factors_of_prices}
    LEFT JOIN kinds ON kinds.kind = daily.security_type
),
${compared},
breadth AS (
    SELECT
        max(trade_date) AS trade_date,
        max(previous_session) AS previous_session,
        max(CASE WHEN sessions_ago = 0 THEN missing_before END) AS missing_sessions,
        max(currency) AS currency,
        count(CASE WHEN sessions_ago = 0 THEN kind END) AS stocks,
        count(CASE WHEN sessions_ago = 0 AND close > previous_close THEN 1 END) AS advances,
        count(CASE WHEN sessions_ago = 0 AND close < previous_close THEN 1 END) AS declines,
        count(CASE WHEN sessions_ago = 0 AND close = previous_close THEN 1 END) AS unchanged,
        sum(
            CASE WHEN sessions_ago = 0 AND close > previous_close THEN cash_volume ELSE 0 END
        ) AS advancing_volume,
        sum(
            CASE WHEN sessions_ago = 0 AND close < previous_close THEN cash_volume ELSE 0 END
        ) AS declining_volume,
        sum(CASE WHEN sessions_ago = 0 THEN volume ELSE 0 END) AS volume,
        sum(CASE WHEN sessions_ago = 1 THEN volume END) AS previous_volume,
        sum(CASE WHEN sessions_ago = 0 THEN cash_volume ELSE 0 END) AS cash_volume,
        sum(CASE WHEN sessions_ago = 0 THEN call_volume ELSE 0 END) AS call_volume,
        sum(CASE WHEN sessions_ago = 0 THEN put_volume ELSE 0 END) AS put_volume,
        sum(CASE WHEN sessions_ago = 0 THEN trades ELSE 0 END) AS trades,
        count(CASE WHEN sessions_ago = 0 AND trades IS NULL THEN 1 END) AS rows_without_trades
    FROM compared
    HAVING count(*) > 0
)
SELECT
    trade_date,
    previous_session,
    missing_sessions,
    currency,
    stocks,
    advances,
    declines,
    unchanged,
    stocks - advances - declines - unchanged AS not_comparable,
    CAST(CAST(advances AS double) / nullif(declines, 0) AS decimal(18, 2)) AS advance_decline_ratio,
    CAST(advancing_volume AS decimal(24, 2)) AS advancing_cash_volume,
    CAST(declining_volume AS decimal(24, 2)) AS declining_cash_volume,
    CAST(volume AS decimal(24, 2)) AS volume,
    CAST(
        100 * (CAST(volume AS double) / nullif(CAST(previous_volume AS double), 0) - 1)
        AS decimal(9, 2)
    ) AS volume_change_percent,
    CAST(cash_volume AS decimal(24, 2)) AS cash_volume,
    trades,
    rows_without_trades,
    CAST(
        CAST(put_volume AS double) / nullif(CAST(call_volume AS double), 0)
        AS decimal(18, 2)
    ) AS put_call_ratio
FROM breadth
