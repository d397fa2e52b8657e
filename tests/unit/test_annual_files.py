"""Annual files: as the simulated B3 writes and serves them, and as the reader reads every era's."""

import hashlib
import tracemalloc
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from sandbox.b3.columns import Columns, encode_columns, quotes_of
from sandbox.b3.eras import era_year, label
from sandbox.b3.formats import Quote, encode_quote, encode_session
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.server import B3Server
from sandbox.b3.sources import RecordedFolder, SimulatedSource
from sandbox.b3.years import annual_member_name, annual_zip_name, benchmark_year, write_year
from scraper.b3.cotahist.reader import read_year

JANUARY_2, JANUARY_3, DECEMBER_30 = date(2024, 1, 2), date(2024, 1, 3), date(2024, 12, 30)
SESSIONS = {
    JANUARY_2: [Quote(codneg="ZZAA3"), Quote(codneg="ZZBB4")],
    JANUARY_3: [Quote(codneg="ZZAA3", preult=Decimal("11.00"))],
    DECEMBER_30: [Quote(codneg="ZZBB4"), Quote(codneg="ZZAA3"), Quote(codneg="ZZAA3F", tpmerc="020")],
}
MARKET = SimulatedMarket()
ERAS = (1986, 1989, 1990, 1993, 1994, 1995, 2001, 2003, 2014, 2016, 2024)


def text_of(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.namelist()
        return archive.read(member)


def tickers_of(path: Path) -> list[tuple[str, str]]:
    """Session and ticker of each quote, in the order of the file."""
    records = text_of(path).decode("latin-1").splitlines()[1:-1]
    return [(record[2:10], record[12:24].rstrip()) for record in records]


# ---- columns ----


@pytest.mark.parametrize(
    ("market", "session"),
    [
        (MARKET, date(2026, 11, 18)),
        (MARKET, date(2026, 11, 19)),  # options expire
        (SimulatedMarket(seed=3, tickers=600, quotes=2000), date(2024, 3, 11)),
        (SimulatedMarket(seed=4, tickers=31, quotes=200), date(2000, 1, 3)),
    ],
)
def test_columns_are_written_to_the_byte_as_their_quotes_are_one_by_one(
    market: SimulatedMarket, session: date
) -> None:
    one_by_one = [encode_quote(quote, session) for quote in market.session(session)]
    for line_end in (b"\r\n", b"\n"):
        written = encode_columns(market.columns(session), session, line_end=line_end)
        assert written == b"".join(quote + line_end for quote in one_by_one)


def one_line(**fields: Any) -> Columns:
    """A line whose values say which field they are, except those given."""
    texts = {"codbdi": b"02", "codneg": b"ZZAA3", "tpmerc": b"070", "nomres": "É".encode("latin-1")}
    texts |= {"especi": b"ON  EDJ NM", "prazot": b"000", "modref": b"R$", "indopc": b"1", "codisi": b"ZZA ON"}
    prices = ("preabe", "premax", "premin", "premed", "preult", "preofc", "preofv", "preexe")
    numbers = {name: 100 + position for position, name in enumerate(prices)}
    numbers |= {"totneg": 99_999, "quatot": 10**18 - 1, "voltot": 10**18 - 1, "datven": 2024_02_29}
    numbers |= {"fatcot": 1000, "ptoexe": 1_234_567_000_089, "dismes": 7}
    return {name: np.array([value]) for name, value in (texts | numbers | fields).items()}


def test_a_line_of_columns_is_the_quote_that_it_says() -> None:
    (quote,) = quotes_of(one_line())
    assert quote == Quote(
        codneg="ZZAA3",
        tpmerc="070",
        nomres="É",
        especi="ON  EDJ NM",
        prazot="000",
        preabe=Decimal("1.00"),
        premax=Decimal("1.01"),
        premin=Decimal("1.02"),
        premed=Decimal("1.03"),
        preult=Decimal("1.04"),
        preofc=Decimal("1.05"),
        preofv=Decimal("1.06"),
        preexe=Decimal("1.07"),
        totneg=99_999,
        quatot=999_999_999_999_999_999,
        voltot=Decimal("9999999999999999.99"),
        indopc="1",
        datven=date(2024, 2, 29),
        fatcot=1000,
        ptoexe=Decimal("1234567.000089"),
        codisi="ZZA ON",
        dismes=7,
    )
    assert encode_columns(one_line(), JANUARY_2, line_end=b"") == encode_quote(quote, JANUARY_2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("totneg", 100_000),
        ("preult", -1),
        ("fatcot", 10**7),
        ("codneg", b"ZZAA345678901"),
        ("tpmerc", b"0100"),
    ],
)
def test_columns_that_do_not_fit_their_field_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"2024-01-02: {field.upper()} \(\d+-\d+\) does not fit"):
        encode_columns(one_line(**{field: value}), JANUARY_2)


# ---- the year's file ----


def test_a_year_is_a_header_the_records_of_its_sessions_and_a_trailer_that_counts_them(
    tmp_path: Path,
) -> None:
    path = tmp_path / "COTAHIST_A2024.ZIP"
    assert write_year(path, SESSIONS.items(), year=2024) == 6
    records = [encode_quote(quote, day) for day, quotes in SESSIONS.items() for quote in quotes]
    header = b"00COTAHIST.2024BOVESPA 20241231".ljust(245)
    trailer = b"99COTAHIST.2024BOVESPA 2024123100000000008".ljust(245)
    assert text_of(path) == b"".join(record + b"\r\n" for record in [header, *records, trailer])
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_year_of_one_session_is_that_sessions_file(tmp_path: Path) -> None:
    path = tmp_path / "year.zip"
    write_year(path, [(JANUARY_2, SESSIONS[JANUARY_2])], year=2024, generated=JANUARY_2)
    assert text_of(path) == encode_session(JANUARY_2, SESSIONS[JANUARY_2])


def test_a_year_may_have_unix_lines_and_no_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "year.zip"
    write_year(path, SESSIONS.items(), year=2024, line_end=b"\n", final_line_end=False)
    assert len(text_of(path)) == 8 * 246 - 1
    assert b"\r" not in text_of(path)


def test_a_year_may_be_ordered_by_ticker(tmp_path: Path) -> None:
    by_session, by_ticker = tmp_path / "session.zip", tmp_path / "ticker.zip"
    write_year(by_session, SESSIONS.items(), year=2024)
    write_year(by_ticker, SESSIONS.items(), year=2024, by_ticker=True)
    assert tickers_of(by_ticker) == [
        ("20240102", "ZZAA3"),
        ("20240103", "ZZAA3"),
        ("20241230", "ZZAA3"),
        ("20241230", "ZZAA3F"),
        ("20240102", "ZZBB4"),
        ("20241230", "ZZBB4"),
    ]
    assert sorted(text_of(by_ticker).splitlines()) == sorted(text_of(by_session).splitlines())


def test_a_zip_that_is_made_while_it_is_sent_has_its_sizes_after_the_data(tmp_path: Path) -> None:
    whole, streamed = tmp_path / "whole.zip", tmp_path / "streamed.zip"
    write_year(whole, SESSIONS.items(), year=2024)
    write_year(streamed, SESSIONS.items(), year=2024, streamed=True)
    assert text_of(streamed) == text_of(whole)
    # The local header's flags, then, 8 bytes on, CRC and sizes (APPNOTE 4.3.7)
    assert int.from_bytes(streamed.read_bytes()[6:8], "little") & 0x8
    assert streamed.read_bytes()[14:26] == bytes(12)
    assert whole.read_bytes()[14:26] != bytes(12)


def test_the_same_sessions_give_the_same_bytes(tmp_path: Path) -> None:
    market = SimulatedMarket(seed=5, tickers=31, quotes=150)
    digests = set()
    for name in ("one.zip", "other.zip"):
        write_year(tmp_path / name, [(day, market.columns(day)) for day in SESSIONS], year=2024)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).digest())
    assert len(digests) == 1


def test_a_session_of_another_year_is_refused_and_leaves_no_zip(tmp_path: Path) -> None:
    path = tmp_path / "year.zip"
    with pytest.raises(ValueError, match="session 2024-01-03 is not of 2023"):
        write_year(path, [(date(2023, 12, 28), []), (JANUARY_3, [])], year=2023)
    assert not path.exists()


def test_memory_does_not_grow_with_the_year(tmp_path: Path) -> None:
    session = SimulatedMarket(seed=5, tickers=31, quotes=150).columns(JANUARY_2)

    def peak(sessions: int) -> int:
        days = (JANUARY_2 + timedelta(days=n) for n in range(sessions))
        tracemalloc.start()
        try:
            write_year(tmp_path / "year.zip", ((day, session) for day in days), year=2024)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)  # what is loaded once
    assert peak(100) < 1.2 * peak(10)


@pytest.mark.parametrize(
    ("year", "member"), [(1986, "COTAHIST.A1986"), (2001, "COTAHIST_A2001"), (2024, "COTAHIST_A2024.TXT")]
)
def test_a_years_member_is_named_as_in_its_era(tmp_path: Path, year: int, member: str) -> None:
    assert annual_member_name(year) == member
    with zipfile.ZipFile(era_year(year).write(tmp_path)) as archive:
        assert archive.namelist() == [member]


def test_a_year_for_benchmarks_has_b3s_mix_of_markets(tmp_path: Path) -> None:
    path = tmp_path / annual_zip_name(2021)
    told: list[tuple[int, int]] = []
    count = benchmark_year(
        path, year=2021, quotes=12_800, sessions=2, progress=lambda *done: told.append(done)
    )
    assert told == [(1, 2), (2, 2)]
    assert count == pytest.approx(12_800, rel=0.1)
    records = text_of(path).splitlines()[1:-1]
    assert len(records) == count
    assert {record[2:10] for record in records} == {b"20210104", b"20210105"}  # Monday and Tuesday
    share = {code: sum(r[24:27] == code for r in records) / count for code in (b"010", b"020", b"030")}
    assert min(share.values()) > 0.03
    assert sum(share.values()) < 0.3  # the rest are options, nearly all of it


# ---- served ----


@pytest.fixture(scope="module")
def b3() -> Iterator[B3Server]:
    days = [date(2023, 12, 28), JANUARY_3, JANUARY_2]
    with B3Server(SimulatedSource(days, SimulatedMarket(tickers=31, quotes=150))) as server:
        yield server


def get(b3: B3Server, name: str, *, method: str = "GET", **headers: str) -> requests.Response:
    return requests.request(method, f"{b3.base_url}/InstDados/SerHist/{name}", headers=headers, timeout=30)


def test_a_years_zip_has_the_very_sessions_that_are_served_by_day(b3: B3Server, tmp_path: Path) -> None:
    path = tmp_path / "COTAHIST_A2024.ZIP"
    path.write_bytes(get(b3, path.name).content)
    days = []
    for name in ("COTAHIST_D02012024.ZIP", "COTAHIST_D03012024.ZIP"):
        (tmp_path / name).write_bytes(get(b3, name).content)
        days += text_of(tmp_path / name).splitlines()[1:-1]
    assert text_of(path).splitlines()[1:-1] == days
    assert text_of(path).startswith(b"00COTAHIST.2024BOVESPA 20240103")


def test_a_year_of_which_there_is_no_session_is_not_found(b3: B3Server) -> None:
    assert get(b3, "COTAHIST_A2022.ZIP").status_code == 404


def test_a_year_is_asked_for_again_at_no_cost(b3: B3Server) -> None:
    first = get(b3, "COTAHIST_A2023.ZIP")
    assert first.headers["Last-Modified"] == "Thu, 28 Dec 2023 23:30:00 GMT"
    again = get(b3, "COTAHIST_A2023.ZIP", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = get(b3, "COTAHIST_A2023.ZIP", method="HEAD")
    assert (head.headers["Content-Length"], head.content) == (str(len(first.content)), b"")


def test_a_recorded_year_is_served_byte_for_byte(tmp_path: Path) -> None:
    folder = tmp_path / "InstDados" / "SerHist"
    folder.mkdir(parents=True)
    path = era_year(1986).write(folder)
    with B3Server(RecordedFolder(tmp_path, JANUARY_2)) as b3:
        assert get(b3, path.name).content == path.read_bytes()


# ---- eras, through the reader ----


def read(path: Path, year: int) -> dict[date, list[dict[str, Any]]]:
    """Each session's quotes in the file's order, as dictionaries of Python values."""
    sessions: dict[date, list[dict[str, Any]]] = {}
    for session, batch in read_year(path, year=year, source=path.name):
        sessions.setdefault(session, []).extend(batch.to_pylist())
    return sessions


def by_key(quotes: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    keyed = {(quote["codneg"], quote["tpmerc"], quote["prazot"]): quote for quote in quotes}
    assert len(keyed) == len(quotes)
    return keyed


@pytest.mark.parametrize(
    ("year", "line_end", "final_line_end"),
    [
        *((year, b"\r\n", True) for year in ERAS),
        *((1986, b"\n", True), (2024, b"\r\n", False), (2024, b"\n", False)),
    ],
)
def test_a_year_of_any_era_is_read_field_by_field_as_it_was_written(
    tmp_path: Path, year: int, line_end: bytes, final_line_end: bool
) -> None:
    era = era_year(year)
    found = read(era.write(tmp_path, line_end=line_end, final_line_end=final_line_end), year)
    assert sorted(found) == list(era.sessions)
    for session, quotes in era.sessions.items():
        assert by_key(found[session]) == by_key([asdict(quote) for quote in quotes])


@pytest.mark.parametrize("year", [1986, 2024])
def test_the_order_of_the_records_changes_nothing_but_the_order(tmp_path: Path, year: int) -> None:
    era = era_year(year)
    found = read(replace(era, by_ticker=not era.by_ticker).write(tmp_path), year)
    for session, quotes in era.sessions.items():
        assert by_key(found[session]) == by_key([asdict(quote) for quote in quotes])


def test_a_year_that_is_not_over_is_read_though_its_sizes_come_last(tmp_path: Path) -> None:
    era = era_year(2026, unfinished=True)
    path = era.write(tmp_path)
    assert int.from_bytes(path.read_bytes()[6:8], "little") & 0x8
    assert [len(quotes) for quotes in read(path, 2026).values()] == [14] * 12


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        (date(1986, 2, 27), "CR$"),
        (date(1986, 2, 28), "CZ$"),
        (date(1989, 1, 13), "CZ$"),
        (date(1989, 1, 16), "NCZ$"),
        (date(1990, 3, 15), "NCZ$"),
        (date(1990, 3, 16), "CR$"),
        (date(1994, 6, 30), "CR$"),
        (date(1994, 7, 1), "R$"),
    ],
)
def test_prices_keep_the_label_of_their_currency_and_are_not_converted(
    tmp_path: Path, session: date, expected: str
) -> None:
    assert label(session) == expected
    quotes = read(era_year(session.year).write(tmp_path), session.year)[session]
    assert {quote["modref"] for quote in quotes} == {expected}


def test_isins_begin_on_their_day_and_codes_with_blanks_end(tmp_path: Path) -> None:
    sessions = read(era_year(1995).write(tmp_path), 1995)
    before, since = sessions[date(1995, 5, 12)], sessions[date(1995, 5, 15)]
    assert {(quote["codneg"], quote["codisi"]) for quote in before if quote["tpmerc"] == "010"} == {
        ("ZZA 2", "ZZA 00 OP"),
        ("ZZA 5", "ZZA 01 PP"),
        ("ZZB 13", ""),
        ("ZZC 3", "ZZC 03 PPB"),
    }
    assert {quote["codneg"] for quote in since if quote["tpmerc"] == "010"} == {
        "ZZAA3",
        "ZZAA4",
        "ZZBB3",
        "ZZCC11",
    }
    assert {len(quote["codisi"]) for quote in since} == {12}
    assert {quote["especi"] for quote in before} == {"OP  C02", "PP  INT", "ON", "PPB EB"}


def test_the_name_with_an_accent_of_2014_is_read_as_latin_1(tmp_path: Path) -> None:
    path = era_year(2014).write(tmp_path)
    assert b"SIMULADA \xc9  " in text_of(path)
    names = {quote["nomres"] for quote in read(path, 2014)[date(2014, 12, 18)]}
    assert "SIMULADA É" in names


def test_years_before_b3s_first_are_refused() -> None:
    with pytest.raises(ValueError, match="begin in 1986, not in 1985"):
        era_year(1985)
