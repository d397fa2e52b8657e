-- Session overview and breadth | Resumo do pregão: altas e baixas
-- EN: How was the session: how many stocks rose and fell against the previous session's close, with how much volume, and how much was traded in all? Prices are not adjusted for splits or dividends.
-- PT: Como foi o pregão: quantos papéis subiram e caíram em relação ao fechamento do pregão anterior, com que volume, e quanto se negociou ao todo? Os preços não são ajustados por desdobramentos nem proventos.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Scans: 2 files of the compact table at most, a session each | no máximo 2 arquivos da tabela compacta, um por pregão
-- Needs sessions: 1
WITH sessions AS (
    SELECT trade_date, row_number() OVER (ORDER BY trade_date DESC) - 1 AS sessions_ago
    FROM "${refined_database}"."${compact_table}$$partitions"
    WHERE trade_date <= ${trade_date}
    ORDER BY trade_date DESC
    LIMIT 2
),
prices AS (
    SELECT
        daily.trade_date,
        daily.volume,
        daily.cash_volume,
        daily.call_volume,
        daily.put_volume,
        daily.trades,
        daily.close,
        sessions.sessions_ago,
        lag(daily.close) OVER (PARTITION BY daily.ticker ORDER BY daily.trade_date) AS previous_close
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
),
breadth AS (
    SELECT
        max(trade_date) AS trade_date,
        count(CASE WHEN sessions_ago = 0 THEN 1 END) AS stocks,
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
        sum(CASE WHEN sessions_ago = 0 THEN trades ELSE 0 END) AS trades
    FROM prices
    HAVING count(*) > 0
)
SELECT
    trade_date,
    stocks,
    advances,
    declines,
    unchanged,
    stocks - advances - declines - unchanged AS not_comparable,
    round(CAST(advances AS double) / nullif(declines, 0), 2) AS advance_decline_ratio,
    CAST(advancing_volume AS decimal(24, 2)) AS advancing_cash_volume_brl,
    CAST(declining_volume AS decimal(24, 2)) AS declining_cash_volume_brl,
    CAST(volume AS decimal(24, 2)) AS volume_brl,
    CAST(
        100 * (CAST(volume AS double) / nullif(CAST(previous_volume AS double), 0) - 1)
        AS decimal(9, 2)
    ) AS volume_change_percent,
    CAST(cash_volume AS decimal(24, 2)) AS cash_volume_brl,
    trades,
    round(CAST(put_volume AS double) / nullif(CAST(call_volume AS double), 0), 2) AS put_call_ratio
FROM breadth
