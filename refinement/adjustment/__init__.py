"""What corporate actions do to prices: events, proven or not, and the factors that adjust for them.

Two sources of B3's that know nothing of each other have to agree. The quotes' distribution number (DISMES)
rises by one for each distribution, on the session from which the paper trades without it: it says that
something left, and when. The issuers' corporate actions say what. A rise that no sized event explains ends
the adjusted series there, with the reason; no factor is ever made of a step of the price.

`runs` makes of the sessions, month by month, what is needed of them: from when to when each paper had which
number, and the closes at both ends. `actions` reads what B3 states. `events` holds the two against each
other, `factors` multiplies: pure functions, all of them. `state` keeps the runs in the refined bucket and
writes the tables, all of them made anew from what lies in the buckets, so that any order of sessions,
corrections and late events ends in the same bytes.
"""
