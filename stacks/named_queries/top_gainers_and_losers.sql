-- Top gainers and losers of a session
-- EN: Which ten stocks rose and which ten fell most in the last session, against the previous session's close, or the open where there is none?
-- PT: Quais dez ações mais subiram e quais dez mais caíram no último pregão, em relação ao fechamento anterior, ou à abertura quando não há?
WITH last_session AS (
    SELECT max(trade_date) AS trade_date
    FROM "${refined_database}"."${compact_table}"
),
previous_session AS (
    SELECT max(trade_date) AS trade_date
    FROM "${refined_database}"."${compact_table}"
    WHERE trade_date < (SELECT trade_date FROM last_session)
),
previous_close AS (
    SELECT ticker, close
    FROM "${refined_database}"."${compact_table}"
    WHERE trade_date = (SELECT trade_date FROM previous_session)
        AND cash_volume > 0
),
price_change AS (
    SELECT
        today.trade_date,
        today.ticker,
        today.company,
        coalesce(previous_close.close, today.open) AS reference_price,
        CASE WHEN previous_close.close IS NULL THEN 'open' ELSE 'previous close' END AS reference,
        today.close,
        today.volume
    FROM "${refined_database}"."${compact_table}" AS today
    LEFT JOIN previous_close ON previous_close.ticker = today.ticker
    WHERE today.trade_date = (SELECT trade_date FROM last_session)
        AND today.cash_volume > 0
),
ranked AS (
    SELECT
        *,
        100 * (close - reference_price) / reference_price AS change_percent,
        row_number() OVER (ORDER BY (close - reference_price) / reference_price DESC, ticker) AS rise_place,
        row_number() OVER (ORDER BY (close - reference_price) / reference_price, ticker) AS fall_place
    FROM price_change
    WHERE reference_price > 0
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
    reference,
    volume AS volume_brl
FROM ranked
WHERE (rise_place <= 10 AND change_percent > 0)
    OR (fall_place <= 10 AND change_percent < 0)
ORDER BY side, place
