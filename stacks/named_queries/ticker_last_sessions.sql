-- Last sessions of a ticker | Últimos pregões de um papel
-- EN: How did a ticker trade in the exchange's last twenty sessions? A change is against its last close before, of reference_date, adjusted for what went ex since, unless prices says otherwise; it is null where the lake lacks a session in between (missing_sessions), or an event there is not proven. Prices are as traded.
-- PT: Como um papel foi negociado nos últimos vinte pregões da bolsa? Uma variação é em relação ao seu último fechamento anterior, o de reference_date, ajustado pelo que ficou ex desde então, salvo se prices diz outra coisa; é nula onde falta no lake um pregão entre os dois (missing_sessions), ou um evento entre eles não está provado. Os preços são os negociados.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: prices | varchar | 'total_return' | Which prices are compared: total_return (what a holder has had, distributions reinvested), adjusted (in equal shares) or traded (as they stand in the table) | Que preços se comparam: total_return (o que o titular teve, proventos reinvestidos), adjusted (em ações iguais) ou traded (como estão na tabela)
-- Parameter: ticker | varchar | ${most_traded_ticker} | The ticker | O código de negociação
-- Scans: 21 files of the compact table at most, a session each, and the table of factors, one file | no máximo 21 arquivos da tabela compacta, um por pregão, e a tabela de fatores, um arquivo
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
    WHERE sessions_ago < 21
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
        daily.open,
        daily.high,
        daily.low,
        daily.close,
        daily.trades,
        daily.volume,
        daily.days_to_expiry,
        present.sessions_ago,
        present.missing_before,
        present.missing,
        ${price_factor} AS factor,
        ${price_base} AS base
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN present ON present.trade_date = daily.trade_date
    ${factors_of_prices}
    WHERE daily.ticker = ${ticker}
),
history AS (
    SELECT
        *,
        last_value(CASE WHEN close > 0 THEN trade_date END) IGNORE NULLS OVER earlier AS reference_date,
        last_value(CASE WHEN close > 0 THEN CAST(close AS double) * factor END) IGNORE NULLS OVER earlier
            AS reference_price,
        last_value(CASE WHEN close > 0 THEN base END) IGNORE NULLS OVER earlier AS reference_base,
        last_value(CASE WHEN close > 0 THEN missing END) IGNORE NULLS OVER earlier AS missing_then
    FROM prices
    WINDOW earlier AS (ORDER BY trade_date ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
SELECT
    trade_date,
    missing_before AS missing_sessions,
    ticker,
    currency,
    CAST(open AS decimal(18, 4)) AS open,
    CAST(high AS decimal(18, 4)) AS high,
    CAST(low AS decimal(18, 4)) AS low,
    CAST(close AS decimal(18, 4)) AS close,
    reference_date,
    CAST(
        CASE
            WHEN missing = missing_then AND base = reference_base
                THEN 100 * (CAST(close AS double) * factor / reference_price - 1)
        END
        AS decimal(9, 2)
    ) AS change_percent,
    trades,
    volume,
    days_to_expiry
FROM history
WHERE sessions_ago < 20
ORDER BY trade_date DESC
