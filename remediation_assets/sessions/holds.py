"""Holds: dispatching is paused, with a reason and, where it is known, an end.

A hold with an end lifts itself. One without is probed once per interval: refused credentials with a
request that costs nothing, quota and missing permission with one attempt, whose acceptance lifts it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from duckdb import DuckDBPyConnection

from remediation_assets.devin.errors import DevinError, NotAuthorised, QuotaExhausted, RateLimited

from .events import Timeline

_FIRST_BACKOFF_SECONDS = 60.0
_LONGEST_BACKOFF_SECONDS = 1200.0


class HoldKind(StrEnum):
    """Why dispatching is paused."""

    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    CREDENTIALS = "credentials"
    PERMISSION = "permission"


@dataclass(frozen=True)
class Hold:
    """A standing hold."""

    hold_id: int
    kind: HoldKind
    reason: str
    set_at: datetime
    ends_at: datetime | None
    probe_at: datetime | None

    @property
    def sentence(self) -> str:
        """Say what it waits for."""
        if self.ends_at:
            return f"dispatching is on hold until {self.ends_at:%H:%M:%S} UTC ({self.kind}): {self.reason}"
        return f"dispatching is on hold ({self.kind}), tried again at {self.probe_at:%H:%M:%S} UTC: {self.reason}"

    def admits(self, now: datetime) -> int | None:
        """Give how many attempts it lets through now; None for any number."""
        if self.ends_at is not None:
            return 0 if now < self.ends_at else None
        if self.kind is HoldKind.CREDENTIALS:
            return 0
        return 0 if self.probe_at is None or now < self.probe_at else 1


def standing_holds(tx: DuckDBPyConnection) -> list[Hold]:
    """Load the holds that nobody has lifted."""
    rows = tx.execute(
        "SELECT hold_id, kind, reason, set_at, ends_at, probe_at FROM holds WHERE lifted_at IS NULL ORDER BY hold_id"
    ).fetchall()
    return [Hold(row[0], HoldKind(row[1]), *row[2:]) for row in rows]


def lift_ended(tx: DuckDBPyConnection, timeline: Timeline) -> None:
    """Lift the holds whose end has come."""
    for hold in standing_holds(tx):
        if hold.ends_at is not None and hold.ends_at <= timeline.now:
            _lift(tx, hold, timeline)


def lift_probed(tx: DuckDBPyConnection, timeline: Timeline) -> None:
    """Lift the holds that an attempt probes: one was accepted."""
    for hold in standing_holds(tx):
        if hold.ends_at is None and hold.kind is not HoldKind.CREDENTIALS:
            _lift(tx, hold, timeline)


def lift_credentials(tx: DuckDBPyConnection, timeline: Timeline) -> None:
    """Lift the holds for refused credentials: they work again."""
    for hold in standing_holds(tx):
        if hold.kind is HoldKind.CREDENTIALS:
            _lift(tx, hold, timeline)


def probe_due(tx: DuckDBPyConnection, now: datetime) -> bool:
    """Say whether refused credentials are to be tried again now."""
    return any(
        hold.kind is HoldKind.CREDENTIALS and hold.probe_at is not None and hold.probe_at <= now
        for hold in standing_holds(tx)
    )


def postpone_probes(tx: DuckDBPyConnection, now: datetime, probe_minutes: float, *, of_credentials: bool) -> None:
    """Set the next probe of the holds whose probe is being made now, before it is sent.

    Credentials are probed with a request of their own, all other holds with an attempt.
    """
    tx.execute(
        """
        UPDATE holds SET probe_at = ?
        WHERE lifted_at IS NULL AND ends_at IS NULL AND probe_at <= ? AND (kind = ?) = ?
        """,
        [now + timedelta(minutes=probe_minutes), now, HoldKind.CREDENTIALS, of_credentials],
    )


def set_hold(tx: DuckDBPyConnection, kind: HoldKind, reason: str, timeline: Timeline, *, seconds: float) -> None:
    """Set a hold unless one of its kind stands; rate limits end after `seconds`, others are probed then."""
    if any(hold.kind is kind for hold in standing_holds(tx)):
        return
    then = timeline.now + timedelta(seconds=seconds)
    ends = kind is HoldKind.RATE_LIMIT
    tx.execute(
        "INSERT INTO holds SELECT coalesce(max(hold_id), 0) + 1, ?, ?, ?, ?, ?, NULL FROM holds",
        [kind, reason, timeline.now, then if ends else None, None if ends else then],
    )
    timeline.add(tx, "hold_set", f"dispatching is on hold ({kind}): {reason}")


def set_hold_for(tx: DuckDBPyConnection, error: DevinError, timeline: Timeline, *, probe_minutes: float) -> None:
    """Set the hold that an account's refusal calls for."""
    if isinstance(error, RateLimited):
        seconds = min(error.retry_after_seconds or _backoff_seconds(tx), _LONGEST_BACKOFF_SECONDS)
        set_hold(tx, HoldKind.RATE_LIMIT, str(error), timeline, seconds=seconds)
    else:
        kind = (
            HoldKind.QUOTA
            if isinstance(error, QuotaExhausted)
            else HoldKind.CREDENTIALS
            if isinstance(error, NotAuthorised)
            else HoldKind.PERMISSION
        )
        set_hold(tx, kind, str(error), timeline, seconds=probe_minutes * 60)


def _backoff_seconds(tx: DuckDBPyConnection) -> float:
    row = tx.execute(
        """
        SELECT count(*) FROM holds
        WHERE kind = ? AND set_at > coalesce((SELECT max(dispatched_at) FROM attempts), 'epoch'::TIMESTAMPTZ)
        """,
        [HoldKind.RATE_LIMIT],
    ).fetchone()
    return min(_FIRST_BACKOFF_SECONDS * 2.0 ** (row[0] if row else 0), _LONGEST_BACKOFF_SECONDS)


def _lift(tx: DuckDBPyConnection, hold: Hold, timeline: Timeline) -> None:
    tx.execute("UPDATE holds SET lifted_at = ? WHERE hold_id = ?", [timeline.now, hold.hold_id])
    timeline.add(tx, "hold_lifted", f"dispatching goes on ({hold.kind})")
