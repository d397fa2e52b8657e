-- A ticker in a session | Um papel em um pregão
-- EN: What does the session of one ticker look like: prices, volume by market, options, weight in the ${joined_index}?
-- PT: Como foi o pregão de um papel: preços, volume por mercado, opções, peso no ${joined_index}?
-- Parameter: trade_date | date | ${last_session} | The session | O pregão
-- Parameter: ticker | varchar | ${most_traded_ticker} | The ticker | O código de negociação
-- Scans: one file of the wide table, the ticker's: Athena asks the catalog for the ticker's partitions; as saved, to find the most traded ticker, it reads the session's file of the compact table and, without a ticker to ask for, lists every partition of the wide one: name both where the table is large | um arquivo da tabela larga, o do papel: o Athena pede ao catálogo as partições do papel; como está salva, para achar o papel mais negociado, lê o arquivo do pregão na tabela compacta e, sem papel a pedir, lista todas as partições da larga: nomeie os dois onde a tabela é grande
-- Needs sessions: 1
SELECT
    trade_date,
    ticker,
    company,
    share_class,
    isin,
    security_type,
    bulletin_code,
    currency,
    open,
    high,
    low,
    close,
    average_price,
    best_bid,
    best_ask,
    trades,
    quantity,
    volume,
    cash_volume,
    odd_lot_volume,
    forward_volume,
    call_volume,
    put_volume,
    other_volume,
    option_series,
    CAST(put_call_ratio AS decimal(18, 2)) AS put_call_ratio,
    next_expiry,
    days_to_expiry,
    index_weight AS index_weight_percent,
    sector,
    lines
FROM "${refined_database}"."${refined_table}"
WHERE trade_date = ${trade_date}
    AND ticker = ${ticker}
