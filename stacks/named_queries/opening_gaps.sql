-- Gaps at the open | Gaps na abertura
-- EN: Which twenty stocks opened farthest from the previous session's close, and did they trade back to it? A gap is filled if the session's low (gap up) or high (gap down) reached that close. Prices are not adjusted for splits or dividends, which leave gaps of their own.
-- PT: Quais vinte papéis abriram mais longe do fechamento do pregão anterior, e voltaram a ele? O gap é fechado se a mínima (gap de alta) ou a máxima (de baixa) do pregão alcançou aquele fechamento. Os preços não são ajustados por desdobramentos nem proventos, que deixam gaps próprios.
-- Parameter: trade_date | date | ${last_session} | The session; on a day without one, the last before it | O pregão; em dia sem pregão, o último antes dele
-- Parameter: minimum_volume_brl | decimal | 1000000 | Least volume in the cash market in the session [BRL] | Volume mínimo à vista no pregão [BRL]
-- Scans: 2 files of the compact table at most, a session each | no máximo 2 arquivos da tabela compacta, um por pregão
-- Needs sessions: 2
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
        daily.high,
        daily.low,
        daily.close,
        daily.cash_volume,
        sessions.sessions_ago,
        lag(daily.close) OVER (PARTITION BY daily.ticker ORDER BY daily.trade_date) AS previous_close
    FROM "${refined_database}"."${compact_table}" AS daily
    JOIN sessions ON sessions.trade_date = daily.trade_date
),
gaps AS (
    SELECT
        *,
        100 * (CAST(open AS double) / CAST(previous_close AS double) - 1) AS gap_percent
    FROM prices
    WHERE sessions_ago = 0
        AND previous_close > 0
        AND open <> previous_close
        AND cash_volume >= ${minimum_volume_brl}
)
SELECT
    trade_date,
    ticker,
    company,
    CAST(previous_close AS decimal(18, 4)) AS previous_close_brl,
    CAST(open AS decimal(18, 4)) AS open_brl,
    CAST(gap_percent AS decimal(9, 2)) AS gap_percent,
    CASE WHEN open > previous_close THEN low <= previous_close ELSE high >= previous_close END AS filled,
    CAST(close AS decimal(18, 4)) AS close_brl,
    cash_volume AS cash_volume_brl
FROM gaps
ORDER BY abs(gap_percent) DESC, ticker
LIMIT 20
