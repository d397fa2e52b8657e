-- A ticker with its 5, 20 and 200-session averages | Um papel e suas médias de 5, 20 e 200 pregões
-- EN: Where does a ticker's close stand against its averages of 5, 20 and 200 sessions, in each of the exchange's last fifty sessions? An average is of sessions with a close in the cash market; missing_5, missing_20 and missing_200 say how many sessions of the exchange the lake lacks among them. All in shares of the session that is asked for (close_adjusted, averages, adjusted for splits and bonuses); null before an event that is not proven.
-- PT: Onde está o fechamento de um papel em relação às suas médias de 5, 20 e 200 pregões, em cada um dos últimos cinquenta da bolsa? A média é de pregões com fechamento à vista; missing_5, missing_20 e missing_200 dizem quantos pregões da bolsa faltam no lake entre eles. Tudo em ações do pregão pedido (close_adjusted e médias, ajustados por desdobramentos e bonificações); nulo antes de um evento não provado.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: prices | varchar | 'adjusted' | Which prices are compared: adjusted (in equal shares), total_return (distributions reinvested) or traded (as they stand in the table) | Que preços se comparam: adjusted (em ações iguais), total_return (proventos reinvestidos) ou traded (como estão na tabela)
-- Parameter: ticker | varchar | ${most_traded_ticker} | The ticker | O código de negociação
-- Scans: 249 files of the compact table at most, a session each, and the table of factors, one file | no máximo 249 arquivos da tabela compacta, um por pregão, e a tabela de fatores, um arquivo
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
${prices_asked},
prices AS (
    SELECT
        daily.trade_date,
        daily.ticker,
        daily.currency,
        daily.close,
        daily.volume,
        present.sessions_ago,
        present.missing,
        ${price_factor} AS factor,
        ${price_base} AS base
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN present ON present.trade_date = daily.trade_date
    ${factors_of_prices}
    WHERE daily.close IS NOT NULL
        AND daily.ticker = ${ticker}
),
closes AS (
    -- In terms of the ticker's newest session among these
    SELECT
        *,
        CASE
            WHEN first_value(base) OVER newest_first = base
                THEN CAST(close AS double) * (factor / first_value(factor) OVER newest_first)
        END AS comparable
    FROM prices
    WINDOW newest_first AS (ORDER BY trade_date DESC)
),
history AS (
    SELECT
        *,
        count(comparable) OVER last_5 AS closes_5,
        avg(comparable) OVER last_5 AS average_5,
        missing - min(missing) OVER last_5 AS missing_5,
        count(comparable) OVER last_20 AS closes_20,
        avg(comparable) OVER last_20 AS average_20,
        missing - min(missing) OVER last_20 AS missing_20,
        count(comparable) OVER last_200 AS closes_200,
        avg(comparable) OVER last_200 AS average_200,
        missing - min(missing) OVER last_200 AS missing_200,
        count(*) OVER last_20 AS volumes_20,
        avg(CAST(volume AS double)) OVER last_20 AS average_volume_20
    FROM closes
    WINDOW
        last_5 AS (ORDER BY trade_date ROWS BETWEEN 4 PRECEDING AND CURRENT ROW),
        last_20 AS (ORDER BY trade_date ROWS BETWEEN 19 PRECEDING AND CURRENT ROW),
        last_200 AS (ORDER BY trade_date ROWS BETWEEN 199 PRECEDING AND CURRENT ROW)
)
-- Averages to more digits first, of which doubles are sure: what is half of the last one is so in any engine, in
-- whatever order it has added, and is rounded up
SELECT
    trade_date,
    ticker,
    currency,
    CAST(close AS decimal(18, 4)) AS close,
    CAST(comparable AS decimal(18, 4)) AS close_adjusted,
    CAST(CAST(CASE WHEN closes_5 = 5 THEN average_5 END AS decimal(28, 10)) AS decimal(18, 4)) AS average_5,
    CASE WHEN closes_5 = 5 THEN missing_5 END AS missing_5,
    CAST(CAST(CASE WHEN closes_20 = 20 THEN average_20 END AS decimal(28, 10)) AS decimal(18, 4)) AS average_20,
    CASE WHEN closes_20 = 20 THEN missing_20 END AS missing_20,
    CAST(CAST(CASE WHEN closes_200 = 200 THEN average_200 END AS decimal(28, 10)) AS decimal(18, 4))
        AS average_200,
    CASE WHEN closes_200 = 200 THEN missing_200 END AS missing_200,
    volume,
    CAST(CAST(CASE WHEN volumes_20 = 20 THEN average_volume_20 END AS decimal(28, 4)) AS decimal(24, 2))
        AS average_volume_20
FROM history
WHERE sessions_ago < 50
ORDER BY trade_date DESC
