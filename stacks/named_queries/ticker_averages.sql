-- A ticker with its 5, 20 and 200-session averages | Um papel e suas médias de 5, 20 e 200 pregões
-- EN: Where does a ticker's close stand against its averages of 5, 20 and 200 sessions, in each of the last fifty sessions? An average is of sessions with a close in the cash market; prices are not adjusted, so that a split bends the averages for as long as they reach back to it.
-- PT: Onde está o fechamento de um papel em relação às suas médias de 5, 20 e 200 pregões, em cada um dos últimos cinquenta? A média é de pregões com fechamento à vista; os preços não são ajustados, e um desdobramento distorce as médias enquanto o alcançarem.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: ticker | varchar | ${most_traded_ticker} | The ticker | O código de negociação
-- Scans: 249 files of the compact table at most, a session each | no máximo 249 arquivos da tabela compacta, um por pregão
-- Needs sessions: 1
WITH sessions AS (
    SELECT trade_date, row_number() OVER (ORDER BY trade_date DESC) - 1 AS sessions_ago
    FROM "${refined_database}"."${compact_table}$$partitions"
    WHERE trade_date <= ${trade_date}
    ORDER BY trade_date DESC
    LIMIT 249
),
history AS (
    SELECT
        daily.trade_date,
        daily.ticker,
        daily.close,
        daily.volume,
        sessions.sessions_ago,
        row_number() OVER (ORDER BY daily.trade_date) AS closes,
        avg(CAST(daily.close AS double)) OVER (
            ORDER BY daily.trade_date ROWS BETWEEN 4 PRECEDING AND CURRENT ROW
        ) AS average_5,
        avg(CAST(daily.close AS double)) OVER (
            ORDER BY daily.trade_date ROWS BETWEEN 19 PRECEDING AND CURRENT ROW
        ) AS average_20,
        avg(CAST(daily.close AS double)) OVER (
            ORDER BY daily.trade_date ROWS BETWEEN 199 PRECEDING AND CURRENT ROW
        ) AS average_200,
        avg(CAST(daily.volume AS double)) OVER (
            ORDER BY daily.trade_date ROWS BETWEEN 19 PRECEDING AND CURRENT ROW
        ) AS average_volume_20
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
    WHERE daily.close IS NOT NULL
        AND daily.ticker = ${ticker}
)
SELECT
    trade_date,
    ticker,
    CAST(close AS decimal(18, 4)) AS close_brl,
    CAST(CASE WHEN closes >= 5 THEN average_5 END AS decimal(18, 4)) AS average_5_brl,
    CAST(CASE WHEN closes >= 20 THEN average_20 END AS decimal(18, 4)) AS average_20_brl,
    CAST(CASE WHEN closes >= 200 THEN average_200 END AS decimal(18, 4)) AS average_200_brl,
    volume AS volume_brl,
    CAST(CASE WHEN closes >= 20 THEN average_volume_20 END AS decimal(24, 2)) AS average_volume_20_brl
FROM history
WHERE sessions_ago < 50
ORDER BY trade_date DESC
