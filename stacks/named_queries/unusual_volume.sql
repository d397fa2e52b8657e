-- Unusual volume | Volume incomum
-- EN: Which twenty stocks traded most against their own average of the twenty sessions before, in the cash market? A session without a trade counts as zero.
-- PT: Quais vinte papéis mais negociaram em relação à sua própria média dos vinte pregões anteriores, à vista? Um pregão sem negócio conta como zero.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: minimum_volume_brl | decimal | 1000000 | Least volume in the cash market in the session [BRL] | Volume mínimo à vista no pregão [BRL]
-- Scans: 21 files of the compact table at most, a session each | no máximo 21 arquivos da tabela compacta, um por pregão
-- Needs sessions: 2
WITH sessions AS (
    SELECT trade_date, row_number() OVER (ORDER BY trade_date DESC) - 1 AS sessions_ago
    FROM "${refined_database}"."${compact_table}$$partitions"
    WHERE trade_date <= ${trade_date}
    ORDER BY trade_date DESC
    LIMIT 21
),
stocks AS (
    SELECT
        max(daily.trade_date) AS trade_date,
        daily.ticker,
        max_by(daily.company, daily.trade_date) AS company,
        sum(CASE WHEN sessions.sessions_ago = 0 THEN daily.cash_volume END) AS cash_volume,
        CAST(sum(CASE WHEN sessions.sessions_ago > 0 THEN daily.cash_volume END) AS double)
            / (SELECT nullif(max(sessions_ago), 0) FROM sessions) AS average_volume
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    GROUP BY daily.ticker
)
SELECT
    trade_date,
    ticker,
    company,
    cash_volume AS cash_volume_brl,
    CAST(average_volume AS decimal(24, 2)) AS average_cash_volume_brl,
    round(CAST(cash_volume AS double) / average_volume, 2) AS times_the_average
FROM stocks
WHERE average_volume > 0
    AND cash_volume >= ${minimum_volume_brl}
ORDER BY CAST(cash_volume AS double) / average_volume DESC, ticker
LIMIT 20
