-- Top gainers and losers of a session | Maiores altas e baixas de um pregão
-- EN: Which ten stocks rose and which ten fell most in a session, against the previous session's close, or the open where there is none? Prices are not adjusted for splits or dividends.
-- PT: Quais dez papéis mais subiram e quais dez mais caíram em um pregão, em relação ao fechamento do pregão anterior, ou à abertura quando não há? Os preços não são ajustados por desdobramentos nem proventos.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: minimum_volume_brl | decimal | 1000000 | Least volume in the cash market in the session [BRL] | Volume mínimo à vista no pregão [BRL]
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
        daily.ticker,
        daily.company,
        daily.open,
        daily.close,
        daily.volume,
        daily.cash_volume,
        sessions.sessions_ago,
        lag(CASE WHEN daily.cash_volume > 0 THEN daily.close END) OVER (
            PARTITION BY daily.ticker ORDER BY daily.trade_date
        ) AS previous_close
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
),
price_changes AS (
    SELECT
        *,
        coalesce(previous_close, open) AS reference_price,
        100 * (CAST(close AS double) - CAST(coalesce(previous_close, open) AS double))
            / CAST(coalesce(previous_close, open) AS double) AS change_percent
    FROM prices
    WHERE sessions_ago = 0
        AND cash_volume > 0
        AND coalesce(previous_close, open) > 0
        AND cash_volume >= ${minimum_volume_brl}
),
ranked AS (
    SELECT
        *,
        row_number() OVER (ORDER BY change_percent DESC, ticker) AS rise_place,
        row_number() OVER (ORDER BY change_percent, ticker) AS fall_place
    FROM price_changes
)
SELECT
    trade_date,
    CASE WHEN change_percent > 0 THEN 'gainer' ELSE 'loser' END AS side,
    CASE WHEN change_percent > 0 THEN rise_place ELSE fall_place END AS place,
    ticker,
    company,
    CAST(change_percent AS decimal(9, 2)) AS change_percent,
    CAST(close AS decimal(18, 4)) AS close_brl,
    CAST(reference_price AS decimal(18, 4)) AS reference_price_brl,
    CASE WHEN previous_close IS NULL THEN 'open' ELSE 'previous close' END AS reference,
    volume AS volume_brl
FROM ranked
WHERE (rise_place <= 10 AND change_percent > 0)
    OR (fall_place <= 10 AND change_percent < 0)
ORDER BY side, place
