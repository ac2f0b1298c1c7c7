"""Work with an open ledger: read rows as dataclasses, write, and record events.

A `Reader` reads the ledger or a read-only copy; a `Transaction` is a reader that also writes. How the file is
locked, opened and committed belongs to `ledger.py`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, Protocol, TypeVar, get_args, get_type_hints

from duckdb import DuckDBPyConnection

from remediation_assets.clock import Clock, utc_now
from remediation_assets.escape import plain
from remediation_assets.models import EventType

Row = TypeVar("Row")
Values = Sequence[object] | Mapping[str, object]

LONGEST_MESSAGE = 500
"""Characters of an event's message that are kept."""


class Reader:
    """Reads an open DuckDB database; SQL and values are passed on as they are."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Values = ()) -> DuckDBPyConnection:
        """Run one statement; return DuckDB's cursor, whose rows are tuples."""
        return self._connection.execute(sql, values if isinstance(values, Mapping) else list(values))

    def rows(self, row: type[Row], sql: str, values: Values = ()) -> list[Row]:
        """Return the rows of a query as dataclasses, filled by column name; enum fields become members."""
        enums = _enum_fields(row)  # type: ignore[arg-type]  # a class is hashable
        return [
            # An empty text stays as it is: it is no member of any enum.
            row(**{name: enums[name](value) if value and name in enums else value for name, value in record.items()})
            for record in self.records(sql, values)
        ]

    def one(self, row: type[Row], sql: str, values: Values = ()) -> Row:
        """Return the only row of a query; raise ValueError if there is none or more than one."""
        [found] = self.rows(row, sql, values)
        return found

    def one_or_none(self, row: type[Row], sql: str, values: Values = ()) -> Row | None:
        """Return the first row of a query, None if there is none."""
        return next(iter(self.rows(row, sql, values)), None)

    def records(self, sql: str, values: Values = ()) -> list[dict[str, Any]]:
        """Return the rows of a query as dictionaries by column name, for rows that have no dataclass."""
        cursor = self.execute(sql, values)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, record, strict=True)) for record in cursor.fetchall()]

    def column(self, sql: str, values: Values = ()) -> list[Any]:
        """Return the values of a query's only column."""
        return [value for (value,) in self.execute(sql, values).fetchall()]

    def scalar(self, sql: str, values: Values = ()) -> Any:
        """Return the only value of a query; raise ValueError if it has not exactly one row of one column."""
        [(value,)] = self.execute(sql, values).fetchall()
        return value


class OfAttempt(Protocol):
    """The fields by which an event names its attempt."""

    @property
    def finding_key(self) -> str:
        """Return the key of the attempt's finding."""
        ...

    @property
    def attempt(self) -> int:
        """Return the attempt's number."""
        ...

    @property
    def wave_number(self) -> int:
        """Return the number of the attempt's wave."""
        ...


@dataclass(frozen=True)
class Event:
    """An event as it was recorded."""

    event_id: int
    event_type: EventType
    message: str


@dataclass
class Journal:
    """The events that one step recorded in all its transactions, and the clock of these transactions.

    An event is added once its transaction has committed: an event that was rolled back never happened, so
    it must not appear in a log.
    """

    clock: Clock = utc_now
    events: list[Event] = field(default_factory=list)

    @property
    def messages(self) -> list[str]:
        """Return the messages of the events, in order."""
        return [event.message for event in self.events]


class Transaction(Reader):
    """One transaction on the ledger: reads, writes and records events, all of it or nothing.

    `now` is the time at which the transaction began, read with the lock held. All events of a transaction have
    this time, and later events never have an earlier one.
    """

    def __init__(self, connection: DuckDBPyConnection, now: datetime) -> None:
        super().__init__(connection)
        self.now = now
        self.recorded: list[Event] = []
        self._last_event_id: int | None = None

    def executemany(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each row of values."""
        # DuckDB refuses `executemany` without rows.
        if rows:
            self._connection.executemany(sql, rows)

    def insert(self, table: str, values: Mapping[str, object]) -> None:
        """Insert one row, its values by column name; the names come from our code, never from outside."""
        places = ", ".join("?" for _ in values)
        self.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", list(values.values()))

    def record(
        self,
        event_type: EventType,
        message: str,
        *,
        attempt: OfAttempt | None = None,
        wave_number: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Write an event in the transaction of the change that it records; it concerns an attempt, a wave, or all.

        The message may repeat what a scanner or Devin wrote, and is shown in terminals and logs. So it is reduced
        to one line of printable characters, cut at LONGEST_MESSAGE.
        """
        message = plain(message)
        if len(message) > LONGEST_MESSAGE:
            message = message[: LONGEST_MESSAGE - 1] + "…"
        # Counted from the newest event, under the ledger's lock. Not a sequence and no RETURNING: PostgreSQL reached
        # through DuckDB has neither.
        if self._last_event_id is None:
            self._last_event_id = int(self.scalar("SELECT coalesce(max(event_id), 0) FROM session_events"))
        self._last_event_id += 1
        self.execute(
            """
            INSERT INTO session_events (
                event_id, "timestamp", event_type, message, wave_number, finding_key, attempt, details)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                self._last_event_id,
                self.now,
                event_type,
                message,
                attempt.wave_number if attempt else wave_number,
                attempt.finding_key if attempt else None,
                attempt.attempt if attempt else None,
                json.dumps(dict(details)) if details else None,
            ],
        )
        self.recorded.append(Event(self._last_event_id, event_type, message))


@cache
def _enum_fields(row: type) -> dict[str, type[StrEnum]]:
    """Return the fields of a dataclass that are text enums, optional ones too, and their enums."""
    found = {}
    for name, hint in get_type_hints(row).items():
        for part in (hint, *get_args(hint)):
            if isinstance(part, type) and issubclass(part, StrEnum):
                found[name] = part
    return found
