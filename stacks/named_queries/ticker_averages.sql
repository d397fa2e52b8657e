-- A ticker with its 5, 20 and 200-session averages | Um papel e suas médias de 5, 20 e 200 pregões
-- EN: Where does a ticker's close stand against its averages of 5, 20 and 200 sessions, in each of the exchange's last fifty sessions? An average is of sessions with a close in the cash market; missing_5, missing_20 and missing_200 say how many sessions of the exchange the lake lacks among them. Prices are not adjusted: a split bends the averages for as long as they reach back to it.
-- PT: Onde está o fechamento de um papel em relação às suas médias de 5, 20 e 200 pregões, em cada um dos últimos cinquenta da bolsa? A média é de pregões com fechamento à vista; missing_5, missing_20 e missing_200 dizem quantos pregões da bolsa faltam no lake entre eles. Os preços não são ajustados: um desdobramento distorce as médias enquanto o alcançarem.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: ticker | varchar | ${most_traded_ticker} | The ticker | O código de negociação
-- Scans: 249 files of the compact table at most, a session each | no máximo 249 arquivos da tabela compacta, um por pregão
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
    WHERE sessions_ago < 249
),
present AS (
    -- How many sessions the lake lacks up to each
    SELECT *, number - row_number() OVER (ORDER BY trade_date) AS missing
    FROM sessions
),
history AS (
    SELECT
        daily.trade_date,
        daily.ticker,
        daily.currency,
        daily.close,
        daily.volume,
        present.sessions_ago,
        row_number() OVER (ORDER BY daily.trade_date) AS closes,
        avg(CAST(daily.close AS double)) OVER last_5 AS average_5,
        present.missing - min(present.missing) OVER last_5 AS missing_5,
        avg(CAST(daily.close AS double)) OVER last_20 AS average_20,
        present.missing - min(present.missing) OVER last_20 AS missing_20,
        avg(CAST(daily.close AS double)) OVER last_200 AS average_200,
        present.missing - min(present.missing) OVER last_200 AS missing_200,
        avg(CAST(daily.volume AS double)) OVER last_20 AS average_volume_20
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN present ON present.trade_date = daily.trade_date
    WHERE daily.close IS NOT NULL
        AND daily.ticker = ${ticker}
    WINDOW
        last_5 AS (ORDER BY daily.trade_date ROWS BETWEEN 4 PRECEDING AND CURRENT ROW),
        last_20 AS (ORDER BY daily.trade_date ROWS BETWEEN 19 PRECEDING AND CURRENT ROW),
        last_200 AS (ORDER BY daily.trade_date ROWS BETWEEN 199 PRECEDING AND CURRENT ROW)
)
SELECT
    trade_date,
    ticker,
    currency,
    CAST(close AS decimal(18, 4)) AS close,
    CAST(CASE WHEN closes >= 5 THEN average_5 END AS decimal(18, 4)) AS average_5,
    CASE WHEN closes >= 5 THEN missing_5 END AS missing_5,
    CAST(CASE WHEN closes >= 20 THEN average_20 END AS decimal(18, 4)) AS average_20,
    CASE WHEN closes >= 20 THEN missing_20 END AS missing_20,
    CAST(CASE WHEN closes >= 200 THEN average_200 END AS decimal(18, 4)) AS average_200,
    CASE WHEN closes >= 200 THEN missing_200 END AS missing_200,
    volume,
    CAST(CASE WHEN closes >= 20 THEN average_volume_20 END AS decimal(24, 2)) AS average_volume_20
FROM history
WHERE sessions_ago < 50
ORDER BY trade_date DESC
