"""The layout of corporate actions, written once: the columns of their raw table, after B3's JSON.

The reader derives its Arrow types from here and the stack its Glue table, so this module imports nothing
beyond the standard library.
"""

import re
from enum import StrEnum

from scraper.b3.columns import Column


class Call(StrEnum):
    """Which call of B3's said it."""

    SUPPLEMENT = "supplement"
    """GetListedSupplementCompany: cash of about twelve months, shares and rights since ever, by ISIN."""
    CASH_HISTORY = "cash_history"
    """GetListedCashDividends: cash since 1995, by class of share, without ISIN and payment date."""
    FUNDS = "funds"
    """GetListedSupplementFunds: what the supplement is, of a fund."""


class Category(StrEnum):
    """What kind of right an event gives."""

    CASH = "cash"
    STOCK = "stock"
    SUBSCRIPTION = "subscription"


ISSUER_CHARACTERS = 4
"""Of a ticker: by them B3's service knows the issuer, company and fund alike."""

_ISSUER = re.compile(rf"[A-Z0-9]{{{ISSUER_CHARACTERS}}}")

ACTION_COLUMNS = (
    Column("issuer", "string", "Issuing code, the first four characters of the ticker (code)"),
    Column("call", "string", "Which of B3's calls said it: supplement, cash_history or funds"),
    Column("category", "string", "cash, stock or subscription"),
    Column("isin", "string", "ISIN of the paper that has the right (isinCode); null in cash_history"),
    Column("asset_issued", "string", "ISIN of what is given (assetIssued)"),
    Column("type_stock", "string", "Class of the share, ON or PN (typeStock); of cash_history alone"),
    Column("label", "string", "What B3 calls it, such as DIVIDENDO (label, corporateAction)"),
    Column("approved_on", "date", "Day of the decision (approvedOn, dateApproval)"),
    Column(
        "last_date_prior",
        "date",
        "Last session with the right; the next one is ex (lastDatePrior, lastDatePriorEx)",
    ),
    Column("payment_date", "date", "Day of the payment (paymentDate); null if none is set"),
    Column("rate", "decimal(24,11)", "Cash, gross [BRL for quoted_per_shares shares] (rate, valueCash)"),
    Column("quoted_per_shares", "bigint", "Shares that rate is for; 1 where B3 does not say"),
    Column(
        "factor",
        "decimal(24,11)",
        "New shares for each 100; of a GRUPAMENTO the ratio itself; of others no ratio (factor)",
    ),
    Column("percentage", "decimal(24,11)", "Shares offered for each 100 (percentage)"),
    Column("price_unit", "decimal(24,11)", "Price of a share offered [BRL] (priceUnit)"),
    Column("subscription_date", "date", "Last day of the subscription (subscriptionDate)"),
    Column("trading_period", "string", "When the right itself is traded, as B3 has it (tradingPeriod)"),
    Column("related_to", "string", "The period that is paid for, as B3 has it (relatedTo)"),
    Column("remarks", "string", "Remarks"),
    Column(
        "closing_price",
        "decimal(24,11)",
        "Close before it was ex [BRL for quoted_per_shares shares] (closingPricePriorExDate)",
    ),
    Column("closing_price_date", "date", "Session of closing_price (dateClosingPricePriorExDate)"),
    Column("ratio", "string", "ratio of cash_history, as B3 has it: always 1 as far as is known"),
    Column(
        "corporate_action_price",
        "decimal(24,11)",
        "rate in percent of closing_price, as B3 has it (corporateActionPrice)",
    ),
    Column("occurrence", "int", "1, 2, ... of events that are alike in all else in one answer"),
    Column("first_seen", "date", "Day in São Paulo on which B3 first showed it here"),
    Column("last_seen", "date", "Day in São Paulo on which B3 last showed it here"),
)
"""Raw table `corporate_actions`, an object an issuer; in brackets B3's own names.

31/12/9999 and 01/01/1900, by which B3 says that there is no day, are null.
"""

SEEN = ("first_seen", "last_seen")
"""What is ours of an event; all else is B3's and tells it from others."""


def issuer_of(ticker: str) -> str | None:
    """The issuing code in a ticker; None where there is none, as in the tickers with blanks of 1986."""
    code = ticker[:ISSUER_CHARACTERS]
    return code if _ISSUER.fullmatch(code) else None
