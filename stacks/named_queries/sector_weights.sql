-- Sectors of the IBOV: weight and volume
-- EN: How much does each sector weigh in the IBOV, and how much of it was traded in the last session, over all markets?
-- PT: Quanto pesa cada setor no IBOV e quanto dele foi negociado no último pregão, somados todos os mercados?
SELECT
    trade_date,
    coalesce(sector, '(none given)') AS sector,
    count(*) AS stocks,
    sum(index_weight) AS index_weight_percent,
    sum(volume) AS volume_brl,
    CAST(100.0 * sum(volume) / sum(sum(volume)) OVER () AS decimal(5, 2)) AS share_of_index_volume_percent,
    max(portfolio_date) AS portfolio_date,
    max(portfolio_age_days) AS portfolio_age_days
FROM "${refined_database}"."${compact_table}"
WHERE trade_date = (SELECT max(trade_date) FROM "${refined_database}"."${compact_table}")
    AND index_weight IS NOT NULL
GROUP BY trade_date, coalesce(sector, '(none given)')
ORDER BY index_weight_percent DESC, sector
