"""What the job keeps of the sessions, and the two tables: the same bytes, whatever happened on the way."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.adjustment import MemoryS3
from lake import keys
from refinement import arrow
from refinement.adjustment import events, kept, state
from refinement.adjustment.actions import Action
from refinement.adjustment.runs import Run
from refinement.adjustment.state import EVENTS_KEY, FACTORS_KEY, SESSION, refresh
from refinement.columns import EVENT_COLUMNS, FACTOR_COLUMNS
from refinement.errors import RefineError
from sandbox.ministack import MiniStack
from tests.fixtures.adjustment import (
    ISIN,
    Row,
    action,
    actions_table,
    history,
    row,
    session_table,
    stock,
    weekdays,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

D = Decimal
TABLES = (EVENTS_KEY, FACTORS_KEY)


class Buckets:
    """A raw and a refined bucket of their own, with what the tables are made of."""

    def __init__(self, s3: S3Client) -> None:
        self.s3 = s3
        self.raw, self.refined = (f"{name}-{uuid.uuid4().hex}" for name in ("raw", "refined"))
        for bucket in (self.raw, self.refined):
            s3.create_bucket(Bucket=bucket)
        self.read: list[str] = []

    def put(self, bucket: str, key: str, table: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        self.s3.put_object(Bucket=bucket, Key=key, Body=sink.getvalue().to_pybytes())

    def put_session(self, day: date, rows: Iterable[Row], name: str = keys.REFINED_FILE) -> None:
        self.put(self.refined, f"{keys.COMPACT}{day}/{name}", session_table(rows))

    def put_actions(self, issuer: str, actions: Iterable[Action]) -> None:
        self.put(self.raw, keys.corporate_actions(issuer), actions_table(actions))

    def refresh(self, **options: Any) -> None:
        refresh(self.s3, raw_bucket=self.raw, refined_bucket=self.refined, **options)

    def tables(self) -> dict[str, bytes]:
        return {key: self._body(key) for key in TABLES}

    def rows(self, key: str) -> list[dict[str, Any]]:
        return list(pq.read_table(pa.BufferReader(self._body(key))).to_pylist())

    def runs(self) -> set[str]:
        listed = self.s3.list_objects_v2(Bucket=self.refined, Prefix=keys.RUNS).get("Contents", [])
        return {item["Key"] for item in listed}

    def _body(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.refined, Key=key)["Body"].read()


@pytest.fixture
def buckets(aws: MiniStack) -> Buckets:
    return Buckets(boto3.client("s3"))


DAYS = [date(2025, 12, 29), date(2025, 12, 30), date(2026, 1, 2), date(2026, 1, 5), date(2026, 2, 2)]
PAID = action(rate=D("1.00"), last_date_prior=date(2025, 12, 30), payment_date=date(2026, 1, 20))
SPLIT = stock("DESDOBRAMENTO", "100", date(2026, 1, 2))
CLOSES = {DAYS[0]: (1, "20"), DAYS[1]: (1, "20"), DAYS[2]: (2, "19"), DAYS[3]: (3, "9.5"), DAYS[4]: (3, "9")}


def put_all(buckets: Buckets) -> None:
    for day, (number, close) in CLOSES.items():
        buckets.put_session(day, [row(number, close)])
    buckets.put_actions("ZZAA", [PAID, SPLIT])


def test_the_tables_hold_what_the_sessions_and_the_actions_make(buckets: Buckets) -> None:
    put_all(buckets)
    buckets.refresh()
    assert buckets.rows(FACTORS_KEY) == [
        {
            "isin": ISIN,
            "first_session": first,
            "last_session": last,
            "split_factor": split,
            "total_return_factor": total,
            "split_base": DAYS[4],
            "split_base_factor": split,
            "total_return_base": DAYS[4],
            "total_return_base_factor": total,
            "reason": None,
        }
        for first, last, split, total in (
            (DAYS[0], DAYS[1], 0.5, 0.475),
            (DAYS[2], DAYS[2], 0.5, 0.5),
            (DAYS[3], DAYS[4], 1.0, 1.0),
        )
    ]
    paid, split = buckets.rows(EVENTS_KEY)
    assert paid == {
        "isin": ISIN,
        "ticker": "ZZAA3",
        "ex_date": DAYS[2],
        "kind": "dividend",
        "label": "DIVIDENDO",
        "ratio": None,
        "amount": D("1.00000000000"),
        "close_before": D("20.000000"),
        "split_factor": 1.0,
        "total_return_factor": 0.95,
        "last_date_prior": DAYS[1],
        "payment_date": date(2026, 1, 20),
        "status": "proven",
        "reason": None,
    }
    assert (split["ex_date"], split["ratio"], split["split_factor"]) == (DAYS[3], D("2.00000000000"), 0.5)
    for key, columns in ((EVENTS_KEY, EVENT_COLUMNS), (FACTORS_KEY, FACTOR_COLUMNS)):
        schema = pq.read_schema(pa.BufferReader(buckets.tables()[key]))
        assert schema == arrow.schema(columns)
    months = {f"{keys.RUNS}{name}.parquet" for name in ("2025-12", "2026-01", "2026-02")}
    years = {f"{keys.RUNS}{name}.parquet" for name in ("2025", "2026")}
    assert buckets.runs() == {*months, *years, keys.ADJUSTMENT_MEMORY}


def test_without_a_session_or_an_action_the_tables_are_empty(buckets: Buckets) -> None:
    buckets.refresh()
    assert (buckets.rows(EVENTS_KEY), buckets.rows(FACTORS_KEY)) == ([], [])


def test_a_second_run_writes_nothing(buckets: Buckets) -> None:
    put_all(buckets)
    buckets.refresh()
    written = recorded(buckets, "PutObject", buckets.refresh)
    assert written == []


def test_files_that_the_run_has_written_are_not_read_but_others_in_their_place_are(buckets: Buckets) -> None:
    put_all(buckets)
    buckets.refresh()
    expected = buckets.tables()
    files = {f"{keys.COMPACT}{day}/{keys.REFINED_FILE}": day for day in DAYS}
    written = {}
    for key, day in files.items():
        etag = buckets.s3.head_object(Bucket=buckets.refined, Key=key)["ETag"]
        written["of another" if day == DAYS[-1] else etag] = session_table([row(*CLOSES[day])]).select(
            SESSION.names
        )
    for key in buckets.runs():
        buckets.s3.delete_object(Bucket=buckets.refined, Key=key)
    read = recorded(buckets, "GetObject", lambda: buckets.refresh(written=written))
    assert buckets.tables() == expected
    assert [files[key] for key in read if key in files] == DAYS[-1:]


def test_tables_that_were_damaged_are_made_anew(buckets: Buckets) -> None:
    put_all(buckets)
    buckets.refresh()
    expected = buckets.tables()
    for key in TABLES:
        buckets.s3.put_object(Bucket=buckets.refined, Key=key, Body=b"<html>")
    buckets.refresh()
    assert buckets.tables() == expected


def test_a_table_that_is_gone_is_made_anew_without_asking_for_it(buckets: Buckets) -> None:
    put_all(buckets)
    buckets.refresh()
    expected = buckets.tables()
    buckets.s3.delete_object(Bucket=buckets.refined, Key=EVENTS_KEY)
    assert EVENTS_KEY not in recorded(buckets, "GetObject", buckets.refresh)
    assert buckets.tables() == expected


def test_a_morning_reads_its_month_and_no_other_session_however_long_the_history(buckets: Buckets) -> None:
    for year in range(2016, 2026):
        for day in weekdays(date(year, 11, 3), 3):
            buckets.put_session(day, [row(1, "20")])
    put_all(buckets)
    buckets.refresh()
    buckets.put_session(date(2026, 2, 3), [row(3, "9")])
    read = recorded(buckets, "GetObject", buckets.refresh)
    assert {key for key in read if key.startswith(keys.COMPACT)} == {
        f"{keys.COMPACT}{day}/{keys.REFINED_FILE}" for day in ("2026-02-02", "2026-02-03")
    }
    others = [key for key in read if not key.startswith(keys.COMPACT)]
    years = [f"{keys.RUNS}{year}.parquet" for year in range(2016, 2027)]
    months = [f"{keys.RUNS}{month}.parquet" for month in ("2026-01", "2026-02")]
    # Nothing is new of the paper, so what B3 states of it is not read
    assert sorted(others) == sorted([*years, *months, keys.ADJUSTMENT_MEMORY, *TABLES])


def recorded(buckets: Buckets, operation: str, during: Callable[[], None]) -> list[str]:
    """The keys of the calls of an operation of S3."""
    keys_called: list[str] = []
    name = f"provide-client-params.s3.{operation}"

    def note(params: dict[str, Any], **_: Any) -> None:
        keys_called.append(params["Key"])

    buckets.s3.meta.events.register(name, note)
    try:
        during()
    finally:
        buckets.s3.meta.events.unregister(name, note)
    return keys_called


def test_a_correction_of_a_session_and_a_late_event_are_seen(buckets: Buckets) -> None:
    put_all(buckets)
    buckets.put_actions("ZZAA", [SPLIT])
    buckets.refresh()
    assert [each["status"] for each in buckets.rows(EVENTS_KEY)] == ["unexplained", "proven"]
    buckets.put_session(DAYS[1], [row(1, "16")])
    buckets.put_actions("ZZAA", [SPLIT, PAID])
    buckets.refresh()
    assert [each["status"] for each in buckets.rows(EVENTS_KEY)] == ["proven", "proven"]
    assert buckets.rows(EVENTS_KEY)[0]["total_return_factor"] == 0.9375  # 15 / 16


def test_a_session_that_is_gone_is_in_no_run_any_more(buckets: Buckets) -> None:
    put_all(buckets)
    buckets.refresh()
    buckets.s3.delete_object(Bucket=buckets.refined, Key=f"{keys.COMPACT}{DAYS[4]}/{keys.REFINED_FILE}")
    buckets.refresh()
    assert buckets.rows(FACTORS_KEY)[-1]["last_session"] == DAYS[3]


@settings(max_examples=12)
@given(st.data())
def test_any_order_of_sessions_corrections_events_and_runs_ends_in_the_same_bytes(
    data: st.DataObject,
) -> None:
    s3: Any = MemoryS3()  # of so many calls the emulator's S3 would take minutes
    days = [*weekdays(date(2025, 11, 26), 6), *weekdays(date(2025, 12, 29), 8)]
    chance = random.Random(data.draw(st.integers(0, 9999)))  # noqa: S311 - no secret
    final = {day: _market(place, chance) for place, day in enumerate(days)}
    actions = [
        action(
            rate=D(chance.randrange(1, 200)) / 100,
            last_date_prior=chance.choice(days),
            isin=f"BRZZ{letter * 2}ACNOR0",
            issuer=f"ZZ{letter * 2}",
        )
        for letter in "AABBC"
    ]
    issuers = sorted({each.issuer for each in actions})

    def publish(buckets: Buckets, steps: Sequence[tuple[str, Any]]) -> None:
        for what, which in steps:
            if what == "wrong":
                buckets.put_session(which, _market(3, random.Random(7)))  # noqa: S311
            elif what == "session":
                buckets.put_session(which, final[which])
            elif what == "actions":
                buckets.put_actions(which, [each for each in actions if each.issuer == which])
            else:
                buckets.refresh()

    straight = Buckets(s3)
    publish(straight, [*(("session", day) for day in days), *(("actions", code) for code in issuers)])
    straight.refresh()

    crooked = Buckets(s3)
    wrong = data.draw(st.lists(st.sampled_from(days), max_size=3, unique=True))
    steps: list[tuple[str, Any]] = [("session", day) for day in days]
    steps += [("actions", code) for code in issuers]
    steps += [("refresh", None)] * 3
    publish(crooked, [*(("wrong", day) for day in wrong), *data.draw(st.permutations(steps))])
    crooked.refresh()
    assert crooked.tables() == straight.tables()


def _market(place: int, chance: random.Random) -> list[Row]:
    return [
        row(
            100 + place // (3 + shift) if chance.random() < 0.9 else None,
            f"{chance.randrange(500, 3000) / 100:.2f}" if chance.random() < 0.95 else None,
            isin=f"BRZZ{letter * 2}ACNOR0",
            ticker=f"ZZ{letter * 2}3",
        )
        for shift, letter in enumerate("ABC")
        if chance.random() < 0.8
    ]


def test_a_morning_makes_anew_the_papers_of_which_something_is_new(
    buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def noted(runs: Sequence[Run], *rest: Any, **options: Any) -> events.History:
        made.append(runs[0].ticker)
        return events.history(runs, *rest, **options)

    monkeypatch.setattr("refinement.adjustment.factors.history", noted)

    def morning(day: date, **numbers: int) -> list[str]:
        rows = [
            row(n, "20", ticker=ticker, isin=f"BR{ticker[:4]}ACN{ticker[4]}R0")
            for ticker, n in numbers.items()
        ]
        buckets.put_session(day, rows)
        made.clear()
        buckets.refresh()
        return sorted(set(made))

    days = weekdays(date(2026, 1, 26), 7)  # into February
    assert morning(days[0], ZZAA3=1, ZZAA4=1, ZZBB3=5) == ["ZZAA3", "ZZAA4", "ZZBB3"]
    assert morning(days[1], ZZAA3=1, ZZBB3=5) == []  # has traded on, or not at all
    assert morning(days[2], ZZAA3=2, ZZAA4=1, ZZBB3=5) == ["ZZAA3", "ZZAA4"]  # of one issuer
    buckets.put_actions(
        "ZZBB", [action(issuer="ZZBB", isin="BRZZBBACN3R0", rate=D(1), last_date_prior=days[3])]
    )
    assert morning(days[3], ZZAA3=2, ZZAA4=1, ZZBB3=5) == ["ZZBB3"]
    assert morning(days[4], ZZAA3=2, ZZAA4=1, ZZBB3=6) == ["ZZBB3"]  # it went ex
    assert morning(days[5], ZZAA3=2, ZZAA4=1, ZZBB3=6) == []
    assert morning(days[2], ZZAA3=2, ZZAA4=1, ZZBB3=7) == ["ZZBB3"]  # a session that was corrected
    buckets.s3.delete_object(Bucket=buckets.refined, Key=f"{keys.COMPACT}{days[1]}/{keys.REFINED_FILE}")
    assert morning(days[5], ZZAA3=2, ZZAA4=1, ZZBB3=6) == ["ZZAA3", "ZZAA4", "ZZBB3"]  # not as they were
    body = buckets.s3.get_object(Bucket=buckets.refined, Key=keys.ADJUSTMENT_MEMORY)["Body"].read()
    other = body.replace(kept.code().encode(), b"0" * len(kept.code()))
    buckets.s3.put_object(Bucket=buckets.refined, Key=keys.ADJUSTMENT_MEMORY, Body=other)
    assert morning(days[6], ZZAA3=2, ZZAA4=1, ZZBB3=6) == ["ZZAA3", "ZZAA4", "ZZBB3"]  # made by other code


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6))
def test_what_is_kept_is_what_would_be_made(seed: int) -> None:
    """Mornings one after another, with all that may be new in one, and now and then something else."""
    s3: Any = MemoryS3()
    buckets, chance = Buckets(s3), random.Random(seed)  # noqa: S311
    days = weekdays(date(2025, 12, 24), 10)
    ahead = weekdays(date(2025, 12, 22), 16)
    papers = [
        {"ticker": "ZZAA3", "isin": "BRZZAAACNOR0", "share_class": "ON"},
        {"ticker": "ZZAA4", "isin": "BRZZAAACNPR0", "share_class": "PN"},
        {"ticker": "ZZBB11", "isin": "BRZZBBCTF000", "share_class": "CI"},
    ]
    numbers = dict.fromkeys(range(len(papers)), 7)
    stated: dict[str, list[Action]] = {}

    def session() -> list[Row]:
        rows = []
        for place, paper in enumerate(papers):
            numbers[place] += chance.choices((0, 1, 2, -1), (80, 14, 4, 2))[0]
            if chance.random() < 0.03:
                paper["ticker"] = f"ZZ{chance.choice('ABD') * 2}{paper['ticker'][4:]}"
            kind = chance.choices(("cash", "no cash", "no number", "none"), (75, 8, 4, 13))[0]
            number = numbers[place] if kind == "cash" else None
            close = None if kind == "no cash" else f"{chance.randrange(500, 3000) / 100:.2f}"
            if kind != "none":
                rows.append(row(number, close, **paper))
        return rows

    def state_something() -> None:
        issuer = chance.choice(("ZZAA", "ZZBB", "ZZDD"))
        isin, day = chance.choice(papers)["isin"], chance.choice(ahead)
        rate = D(chance.randrange(1, 300)) / 100
        said = chance.choice(
            (
                action(issuer=issuer, isin=isin, rate=rate, last_date_prior=day),
                stock("DESDOBRAMENTO", "100", day, issuer=issuer, isin=isin),
                history("DIVIDENDO", str(rate), day, issuer=issuer, type_stock=chance.choice(("ON", "PN"))),
            )
        )
        stated.setdefault(issuer, []).append(said)
        buckets.put_actions(issuer, stated[issuer])

    for place, day in enumerate(days):
        buckets.put_session(day, session())
        for _ in range(chance.choice((0, 0, 1, 2))):
            state_something()
        if place and chance.random() < 0.15:
            buckets.put_session(chance.choice(days[:place]), session())
        if stated and chance.random() < 0.05:
            issuer = chance.choice(sorted(stated))
            del stated[issuer]
            buckets.s3.delete_object(Bucket=buckets.raw, Key=keys.corporate_actions(issuer))
        buckets.refresh()
        tables = buckets.tables()
        buckets.s3.delete_object(Bucket=buckets.refined, Key=keys.ADJUSTMENT_MEMORY)
        buckets.refresh()
        assert tables == buckets.tables(), day


def test_a_run_that_died_anywhere_leaves_what_the_next_one_ends(
    buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_all(buckets)
    buckets.refresh()
    expected = buckets.tables()
    puts = 7  # a month and a year of 2025, two months and a year of 2026, both tables: all but the memory
    for died_at in range(puts):
        again = Buckets(buckets.s3)
        put_all(again)
        count = 0

        def put_or_die(params: dict[str, Any], **_: Any) -> None:
            nonlocal count
            count += 1
            if count > died_at:  # noqa: B023 - called within the turn
                raise KeyboardInterrupt

        again.s3.meta.events.register("provide-client-params.s3.PutObject", put_or_die)
        with pytest.raises(KeyboardInterrupt):
            again.refresh()
        again.s3.meta.events.unregister("provide-client-params.s3.PutObject", put_or_die)
        assert count == died_at + 1
        again.refresh()
        assert again.tables() == expected


def test_of_two_runs_at_once_the_last_to_write_has_seen_all(buckets: Buckets) -> None:
    """Between what one run reads and what it writes another publishes a session, and is done."""
    put_all(buckets)
    late = DAYS[4]
    buckets.s3.delete_object(Bucket=buckets.refined, Key=f"{keys.COMPACT}{late}/{keys.REFINED_FILE}")
    other = Buckets.__new__(Buckets)
    other.s3, other.raw, other.refined = boto3.client("s3"), buckets.raw, buckets.refined
    came: list[bool] = []

    def come_between(params: dict[str, Any], **_: Any) -> None:
        if params["Key"] == EVENTS_KEY and not came:
            came.append(True)
            other.put_session(late, [row(3, "9")])
            other.refresh()

    buckets.s3.meta.events.register("provide-client-params.s3.PutObject", come_between)
    buckets.refresh()
    buckets.s3.meta.events.unregister("provide-client-params.s3.PutObject", come_between)
    assert came
    assert buckets.rows(FACTORS_KEY)[-1]["last_session"] == late


def test_where_others_never_stop_publishing_it_says_so(
    buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_all(buckets)
    monkeypatch.setattr(state, "_ROUNDS", 2)
    closes = iter(range(10, 99))

    def publish(params: dict[str, Any], **_: Any) -> None:
        if params["Key"] == FACTORS_KEY:
            buckets.put_session(DAYS[4], [row(3 + next(closes), "9")])

    buckets.s3.meta.events.register("provide-client-params.s3.PutObject", publish)
    with pytest.raises(RefineError, match="others published sessions 2 times"):
        buckets.refresh()
    buckets.s3.meta.events.unregister("provide-client-params.s3.PutObject", publish)


def test_who_writes_corporate_actions_for_hours_stops_no_run(
    buckets: Buckets, capsys: pytest.CaptureFixture[str]
) -> None:
    put_all(buckets)
    amounts = iter(range(1, 99))

    def publish(params: dict[str, Any], **_: Any) -> None:
        if params["Key"] == EVENTS_KEY:
            buckets.put_actions("ZZAA", [PAID._replace(rate=D(next(amounts)) / 8), SPLIT])

    buckets.s3.meta.events.register("provide-client-params.s3.PutObject", publish)
    buckets.refresh()
    buckets.s3.meta.events.unregister("provide-client-params.s3.PutObject", publish)
    assert (
        "corporate actions go on being written: those since are for the next run" in capsys.readouterr().out
    )
    # Of what was found by the third try, while the fourth amount was being written
    assert [event["amount"] for event in buckets.rows(EVENTS_KEY)] == [D("0.25"), None]

    buckets.refresh()
    assert [event["amount"] for event in buckets.rows(EVENTS_KEY)] == [D("0.375"), None]


def test_rows_in_hand_stand_for_their_session_s_file(buckets: Buckets) -> None:
    put_all(buckets)
    buckets.refresh()
    expected = buckets.tables()
    buckets.put_session(DAYS[3], [row(7, "1.00")])
    number, close = CLOSES[DAYS[3]]
    buckets.refresh(in_hand={DAYS[3]: session_table([row(number, close)])})
    assert buckets.tables() == expected
    buckets.refresh()  # by the file again
    assert buckets.tables() != expected


def test_actions_of_another_schema_are_named(buckets: Buckets) -> None:
    put_all(buckets)
    table = pa.table({"issuer": ["ZZBB"], "rate": [1.5]})
    buckets.put(buckets.raw, keys.corporate_actions("ZZBB"), table)
    with pytest.raises(RefineError, match=r"ZZBB\.parquet .*column call: expected string, found none"):
        buckets.refresh()


def test_what_is_no_parquet_is_named(buckets: Buckets) -> None:
    put_all(buckets)
    buckets.s3.put_object(Bucket=buckets.raw, Key=keys.corporate_actions("ZZBB"), Body=b"<html>")
    with pytest.raises(RefineError, match=r"ZZBB\.parquet cannot be read as Parquet"):
        buckets.refresh()
