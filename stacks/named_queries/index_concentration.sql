-- Concentration of the indices | Concentração dos índices
-- EN: How much of each index is its largest member, its five and its ten largest, in a session? The Herfindahl-Hirschman index is the sum of the squared weights, in percent, from near 0 (spread out) to 10,000 (one paper); effective_members is how many equal ones would give the same. not_traded are members without a trade in the session.
-- PT: Quanto de cada índice é seu maior componente, seus cinco e seus dez maiores, em um pregão? O índice de Herfindahl-Hirschman é a soma dos quadrados dos pesos, em por cento, de perto de 0 (disperso) a 10.000 (um papel); effective_members é quantos componentes iguais dariam o mesmo. not_traded são os componentes sem negócio no pregão.
-- Parameter: trade_date | date | ${last_session} | The session | O pregão
-- Scans: one file of the table of members, the session's | um arquivo da tabela de componentes, o do pregão
-- Needs sessions: 1
WITH ranked AS (
    SELECT
        *,
        CAST(weight AS double) AS share,
        row_number() OVER (PARTITION BY index_code ORDER BY weight DESC, ticker) AS place
    FROM "${refined_database}"."${members_table}"
    WHERE trade_date = ${trade_date}
)
SELECT
    trade_date,
    index_code,
    count(*) AS members,
    count(CASE WHEN isin IS NULL THEN ticker END) AS not_traded,
    min_by(ticker, place) AS largest,
    CAST(sum(CASE WHEN place <= 1 THEN share END) AS decimal(9, 2)) AS top_1_percent,
    CAST(sum(CASE WHEN place <= 5 THEN share END) AS decimal(9, 2)) AS top_5_percent,
    CAST(sum(CASE WHEN place <= 10 THEN share END) AS decimal(9, 2)) AS top_10_percent,
    CAST(sum(share * share) AS decimal(9, 0)) AS herfindahl_hirschman_index,
    CAST(sum(share) * sum(share) / sum(share * share) AS decimal(9, 2)) AS effective_members,
    max(portfolio_date) AS portfolio_date,
    max(portfolio_age_days) AS portfolio_age_days
FROM ranked
GROUP BY trade_date, index_code
ORDER BY herfindahl_hirschman_index DESC, index_code
