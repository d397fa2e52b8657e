-- 52-week highs and lows | Máximas e mínimas de 52 semanas
-- EN: Which stocks closed a session near their highest or their lowest price of 52 weeks (364 days)? Prices are not adjusted: after a split a high of before is out of reach, and a low is none. With less than a year of sessions, of those there are.
-- PT: Quais papéis fecharam um pregão perto do seu maior ou do seu menor preço em 52 semanas (364 dias)? Os preços não são ajustados: após um desdobramento, a máxima anterior fica fora de alcance e a mínima não vale. Com menos de um ano de pregões, dos que há.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: minimum_volume_brl | decimal | 1000000 | Least volume in the cash market in the session [BRL] | Volume mínimo à vista no pregão [BRL]
-- Parameter: within_percent | decimal | 5 | Greatest distance of the close from the high or the low [percent] | Maior distância entre o fechamento e a máxima ou a mínima [por cento]
-- Scans: the files of 52 weeks of the compact table, a session each, some 250 | os arquivos de 52 semanas da tabela compacta, um por pregão, uns 250
-- Needs sessions: 1
WITH past AS (
    SELECT trade_date, max(trade_date) OVER () AS last_session
    FROM "${refined_database}"."${compact_table}$$partitions"
    WHERE trade_date <= ${trade_date}
),
sessions AS (
    SELECT trade_date, last_session
    FROM past
    WHERE trade_date > last_session - INTERVAL '364' DAY
),
prices AS (
    SELECT
        daily.trade_date,
        daily.ticker,
        daily.company,
        daily.high,
        daily.low,
        daily.close,
        daily.cash_volume,
        sessions.last_session,
        max(daily.high) OVER (PARTITION BY daily.ticker) AS highest,
        min(daily.low) OVER (PARTITION BY daily.ticker) AS lowest
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    WHERE daily.close > 0
),
stocks AS (
    SELECT
        last_session AS trade_date,
        ticker,
        max(CASE WHEN trade_date = last_session THEN company END) AS company,
        max(CASE WHEN trade_date = last_session THEN close END) AS close,
        max(CASE WHEN trade_date = last_session THEN cash_volume END) AS cash_volume,
        highest,
        max(CASE WHEN high = highest THEN trade_date END) AS date_of_high,
        lowest,
        max(CASE WHEN low = lowest THEN trade_date END) AS date_of_low,
        count(*) AS sessions_traded
    FROM prices
    GROUP BY last_session, ticker, highest, lowest
),
distances AS (
    SELECT
        *,
        round(100 * (1 - CAST(close AS double) / CAST(highest AS double)), 2) AS below_high_percent,
        round(100 * (CAST(close AS double) / nullif(CAST(lowest AS double), 0) - 1), 2) AS above_low_percent
    FROM stocks
    WHERE cash_volume >= ${minimum_volume_brl}
)
SELECT
    trade_date,
    CASE WHEN below_high_percent <= above_low_percent THEN 'high' ELSE 'low' END AS near,
    ticker,
    company,
    CAST(close AS decimal(18, 4)) AS close_brl,
    CAST(highest AS decimal(18, 4)) AS high_52_weeks_brl,
    date_of_high,
    below_high_percent,
    CAST(lowest AS decimal(18, 4)) AS low_52_weeks_brl,
    date_of_low,
    above_low_percent,
    sessions_traded
FROM distances
WHERE least(below_high_percent, above_low_percent) <= ${within_percent}
ORDER BY near, least(below_high_percent, above_low_percent), ticker
