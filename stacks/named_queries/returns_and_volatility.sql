-- Returns and annualised volatility over 21 sessions | Retornos e volatilidade anualizada em 21 pregões
-- EN: Which stocks swung most over 21 sessions, and what did they return? Volatility is the sample standard deviation of daily log returns times the root of 252. Only stocks with a close in each session; prices are not adjusted, so that a split looks like a huge return.
-- PT: Quais papéis mais oscilaram em 21 pregões, e quanto renderam? A volatilidade é o desvio-padrão amostral dos retornos logarítmicos diários vezes a raiz de 252. Só papéis com fechamento em cada pregão; os preços não são ajustados, e um desdobramento parece um retorno enorme.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: minimum_average_volume_brl | decimal | 1000000 | Least average of the daily volume in the cash market [BRL] | Média mínima do volume diário à vista [BRL]
-- Scans: 22 files of the compact table at most, a session each | no máximo 22 arquivos da tabela compacta, um por pregão
-- Needs sessions: 22
WITH sessions AS (
    SELECT trade_date, row_number() OVER (ORDER BY trade_date DESC) - 1 AS sessions_ago
    FROM "${refined_database}"."${compact_table}$$partitions"
    WHERE trade_date <= ${trade_date}
    ORDER BY trade_date DESC
    LIMIT 22
),
closes AS (
    SELECT
        daily.trade_date,
        daily.ticker,
        daily.company,
        daily.cash_volume,
        CAST(daily.close AS double) AS close,
        sessions.sessions_ago,
        ln(
            CAST(daily.close AS double)
            / CAST(lag(daily.close) OVER (PARTITION BY daily.ticker ORDER BY daily.trade_date) AS double)
        ) AS log_return
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    WHERE daily.close > 0
),
stocks AS (
    SELECT
        max(trade_date) AS trade_date,
        ticker,
        max_by(company, trade_date) AS company,
        max(CASE WHEN sessions_ago = 0 THEN close END) AS close,
        max(CASE WHEN sessions_ago = 21 THEN close END) AS close_21_before,
        stddev_samp(log_return) AS volatility,
        avg(CAST(cash_volume AS double)) AS average_volume
    FROM closes
    GROUP BY ticker
    HAVING count(log_return) = 21
)
SELECT
    trade_date,
    ticker,
    company,
    CAST(close AS decimal(18, 4)) AS close_brl,
    round(100 * (close / close_21_before - 1), 2) AS return_percent,
    round(100 * volatility * sqrt(252), 2) AS annualised_volatility_percent,
    CAST(average_volume AS decimal(24, 2)) AS average_cash_volume_brl
FROM stocks
WHERE average_volume >= ${minimum_average_volume_brl}
ORDER BY volatility DESC, ticker
