"""What a transaction offers: rows as dataclasses, and events that exist only once they are committed."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import duckdb
import pytest

from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import LONGEST_MESSAGE, Journal, Reader
from remediation_assets.models import EventType, Outcome
from tests.support.clock import NOON, Clock


@dataclass(frozen=True)
class Ended:
    name: str
    outcome: Outcome | None


@dataclass(frozen=True)
class OfAttempt:
    finding_key: str = "key"
    attempt: int = 2
    wave_number: int = 3


@pytest.fixture
def reader() -> Iterator[Reader]:
    with duckdb.connect() as connection:
        yield Reader(connection)


def test_rows_are_filled_by_column_name_and_words_become_members(reader: Reader) -> None:
    sql = "SELECT * FROM (VALUES ('success', 'a'), (NULL, 'b')) v(outcome, name) ORDER BY name"
    assert reader.rows(Ended, sql) == [Ended("a", Outcome.SUCCESS), Ended("b", None)]


@pytest.mark.parametrize("columns", ["'a' AS name", "'a' AS name, NULL AS outcome, 1 AS more"])
def test_a_row_that_lacks_a_field_or_has_another_is_an_error(reader: Reader, columns: str) -> None:
    with pytest.raises(TypeError):
        reader.rows(Ended, f"SELECT {columns}")


def test_a_word_that_is_no_member_is_an_error(reader: Reader) -> None:
    with pytest.raises(ValueError, match="well"):
        reader.rows(Ended, "SELECT 'a' AS name, 'well' AS outcome")


@pytest.mark.parametrize("rows", [0, 2])
def test_one_row_is_one_row(reader: Reader, rows: int) -> None:
    sql = f"SELECT 'a' AS name, NULL AS outcome FROM range({rows})"
    with pytest.raises(ValueError, match="values to unpack"):
        reader.one(Ended, sql)
    with pytest.raises(ValueError, match="values to unpack"):
        reader.scalar(f"SELECT 1 FROM range({rows})")
    assert reader.one_or_none(Ended, sql) == (Ended("a", None) if rows else None)


def test_values_go_in_by_place_and_by_name(reader: Reader) -> None:
    assert reader.scalar("SELECT ? || ?", ["a", "b"]) == reader.scalar("SELECT $x || $y", {"x": "a", "y": "b"}) == "ab"
    assert reader.column("SELECT unnest([3, 4])") == [3, 4]


def test_events_are_numbered_on_from_the_newest_one(ledger: Ledger) -> None:
    for _ in range(2):
        with ledger.transaction() as tx:
            tx.record(EventType.HOLD_SET, "first")
            tx.record(EventType.HOLD_LIFTED, "second")
    with ledger.transaction() as tx:
        assert tx.column("SELECT event_id FROM session_events ORDER BY event_id") == [1, 2, 3, 4]


def test_an_event_names_its_attempt_and_the_time_of_its_transaction(ledger: Ledger, clock: Clock) -> None:
    with ledger.transaction(Journal(clock)) as tx:
        clock.move(60)
        tx.record(EventType.SESSION_STARTED, "started", attempt=OfAttempt(), details={"a": 1})
        [event] = tx.records("SELECT * FROM session_events")
    assert event == {
        "event_id": 1,
        "timestamp": NOON,
        "event_type": "session_started",
        "message": "started",
        "wave_number": 3,
        "finding_key": "key",
        "attempt": 2,
        "details": '{"a": 1}',
    }


def test_what_is_rolled_back_reaches_no_journal(ledger: Ledger, clock: Clock) -> None:
    journal = Journal(clock)
    with suppress(ZeroDivisionError), ledger.transaction(journal) as tx:
        tx.record(EventType.HOLD_SET, "never happened")
        raise ZeroDivisionError
    assert journal.messages == []
    with ledger.transaction(journal) as tx:
        tx.record(EventType.HOLD_SET, "happened")
        assert journal.messages == []
    assert journal.messages == ["happened"]
    assert [event.event_id for event in journal.events] == [1]


def test_each_transaction_has_the_time_at_which_it_began(ledger: Ledger, clock: Clock) -> None:
    journal, times = Journal(clock), []
    for _ in range(2):
        with ledger.transaction(journal) as tx:
            times.append(tx.now)
        clock.move(5)
    assert times == [NOON, NOON + timedelta(seconds=5)]


def test_a_message_is_one_printable_line_of_bounded_length(ledger: Ledger) -> None:
    with ledger.transaction() as tx:
        tx.record(EventType.SESSION_FAILED, "a\n\x1b[31mred" + "x" * 1000)
        message = tx.scalar("SELECT message FROM session_events")
    assert message.startswith("a  [31mred")
    assert len(message) == LONGEST_MESSAGE


def test_no_rows_to_run_a_statement_for_are_no_statement(ledger: Ledger) -> None:
    with ledger.transaction() as tx:
        tx.executemany("this is no SQL", [])
