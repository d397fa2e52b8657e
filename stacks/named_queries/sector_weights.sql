-- Sectors of the ${joined_index}: weight and volume | Setores do ${joined_index}: peso e volume
-- EN: How much does each sector weigh in the ${joined_index}, and how much of it was traded in a session, over all markets?
-- PT: Quanto pesa cada setor no ${joined_index} e quanto dele foi negociado em um pregão, somados todos os mercados?
-- Parameter: trade_date | date | ${last_session} | The session | O pregão
-- Scans: one file of the compact table, the session's | um arquivo da tabela compacta, o do pregão
-- Needs sessions: 1
SELECT
    trade_date,
    coalesce(daily.sector, '(none given)') AS sector,
    max(currency) AS currency,
    count(*) AS stocks,
    sum(index_weight) AS index_weight_percent,
    sum(volume) AS volume,
    CAST(
        100 * CAST(sum(volume) AS double) / nullif(CAST(sum(sum(volume)) OVER () AS double), 0)
        AS decimal(5, 2)
    ) AS share_of_index_volume_percent,
    max(portfolio_date) AS portfolio_date,
    max(portfolio_age_days) AS portfolio_age_days
FROM "${refined_database}"."${compact_table}" AS daily
WHERE trade_date = ${trade_date}
    AND index_weight IS NOT NULL
GROUP BY trade_date, coalesce(daily.sector, '(none given)')
ORDER BY index_weight_percent DESC, sector
