"""The timeline: one event per change, kept in order in `session_events`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from duckdb import DuckDBPyConnection

from remediation_assets.escaping import plain

from .attempts import Attempt

# What people wait for is published at once, not at the next interval.
_URGENT = {"hold_set", "hold_lifted", "wave_completed", "wave_gated"}

_LONGEST_MESSAGE = 500


@dataclass
class Timeline:
    """Writes events and remembers their messages, for the log of whoever is at work.

    `urgent` are the ids of those events that people wait for, in order.
    """

    now: datetime
    messages: list[str] = field(default_factory=list)
    urgent: list[int] = field(default_factory=list)

    def add(
        self,
        tx: DuckDBPyConnection,
        event_type: str,
        message: str,
        *,
        attempt: Attempt | None = None,
        wave_number: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        """Write one event in the transaction of the change it tells of.

        What a scanner or Devin said may be part of the message, which ends in terminals and logs:
        it becomes one line of printable characters.
        """
        message = plain(message)
        if len(message) > _LONGEST_MESSAGE:
            message = message[: _LONGEST_MESSAGE - 1] + "…"
        self.messages.append(message)
        [(event_id,)] = tx.execute(
            """
            INSERT INTO session_events (
                event_id, "timestamp", event_type, message, wave_number, finding_key, attempt, details)
            VALUES (nextval('event_ids'), ?, ?, ?, ?, ?, ?, ?)
            RETURNING event_id
            """,
            [
                self.now,
                event_type,
                message,
                attempt.wave_number if attempt else wave_number,
                attempt.finding_key if attempt else None,
                attempt.attempt if attempt else None,
                json.dumps(dict(details)) if details else None,
            ],
        ).fetchall()
        if event_type in _URGENT:
            self.urgent.append(event_id)


def history(tx: DuckDBPyConnection, wave_number: int, number: int) -> list[str]:
    """Give what happened in a round of a wave, one line for each change, in order."""
    rows = tx.execute(
        """
        SELECT e.message FROM session_events e
        JOIN rounds r ON r.wave_number = e.wave_number AND r.round = ?
            AND e."timestamp" BETWEEN r.opened_at AND coalesce(r.settled_at, e."timestamp")
        WHERE e.wave_number = ? ORDER BY e.event_id
        """,
        [number, wave_number],
    ).fetchall()
    return [message for (message,) in rows]


def newest_event(tx: DuckDBPyConnection) -> int:
    """Give the id of the newest event, 0 where there is none."""
    [(newest,)] = tx.execute("SELECT coalesce(max(event_id), 0) FROM session_events").fetchall()
    return int(newest)


def events_since(tx: DuckDBPyConnection, wave_number: int, event_id: int) -> list[tuple[int, str]]:
    """Give id and message of what happened after an event to a wave, or to all of them as holds do."""
    return tx.execute(
        """
        SELECT event_id, message FROM session_events
        WHERE event_id > ? AND coalesce(wave_number, ?) = ? ORDER BY event_id
        """,
        [event_id, wave_number, wave_number],
    ).fetchall()
