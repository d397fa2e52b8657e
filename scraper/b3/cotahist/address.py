"""Where B3 serves the quotes, and what a file of them is called."""

from datetime import date

BASE_URL = "https://bvmf.bmfbovespa.com.br"


def of_session(base_url: str, session: date) -> str:
    """The address of the ZIP with the quotes of a session."""
    return f"{base_url}/InstDados/SerHist/COTAHIST_D{session:%d%m%Y}.ZIP"


def of_year(base_url: str, year: int) -> str:
    """The address of the ZIP with the quotes of a year."""
    return f"{base_url}/InstDados/SerHist/COTAHIST_A{year}.ZIP"
