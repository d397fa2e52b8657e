"""COTAHIST: every quote of a session or a year, as records of fixed width in a ZIP."""
