"""Events as `session_events` has them, read back for the logs of whoever waits for a wave."""

from dataclasses import dataclass
from datetime import datetime

from remediation_assets.ledger.transaction import Reader


@dataclass(frozen=True)
class LoggedEvent:
    """An event's id, time and message."""

    event_id: int
    timestamp: datetime
    message: str


def round_history(tx: Reader, wave_number: int, number: int) -> list[str]:
    """Return the messages of what happened in a round of a wave, in order."""
    return tx.column(
        """
        SELECT e.message FROM session_events e
        -- Events have no round of their own; a wave has one open round at a time.
        JOIN rounds r ON r.wave_number = e.wave_number AND r.round = ?
            AND e."timestamp" BETWEEN r.opened_at AND coalesce(r.settled_at, e."timestamp")
        WHERE e.wave_number = ? ORDER BY e.event_id
        """,
        [number, wave_number],
    )


def newest_event(tx: Reader) -> int:
    """Return the id of the newest event, 0 if there is none."""
    return int(tx.scalar("SELECT coalesce(max(event_id), 0) FROM session_events"))


def events_since(tx: Reader, wave_number: int, event_id: int) -> list[LoggedEvent]:
    """Load the events of a wave after the given one, and those that concern all waves, such as holds."""
    return tx.rows(
        LoggedEvent,
        """
        SELECT event_id, "timestamp", message FROM session_events
        WHERE event_id > ? AND coalesce(wave_number, ?) = ? ORDER BY event_id
        """,
        [event_id, wave_number, wave_number],
    )


def all_events_since(reader: Reader, event_id: int) -> list[LoggedEvent]:
    """Load everything that happened after an event."""
    return reader.rows(
        LoggedEvent,
        'SELECT event_id, "timestamp", message FROM session_events WHERE event_id > ? ORDER BY event_id',
        [event_id],
    )


def wave_of(reader: Reader, event_id: int) -> str:
    """Return the wave that an event belongs to; raise ValueError if it belongs to none."""
    wave: str = reader.scalar(
        "SELECT wave FROM waves WHERE wave_number = (SELECT wave_number FROM session_events WHERE event_id = ?)",
        [event_id],
    )
    return wave
