"""Holds: dispatching is paused, with a reason and, where it is known, an end.

A hold with an end lifts itself; after it one attempt at a time goes out until one is accepted. One
without is probed once per interval: refused credentials with a request that costs nothing, missing
permission with one attempt, quota with a word to a suspended session or else with one attempt. What
only a person can mend, a person lifts.
"""

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from duckdb import DuckDBPyConnection

from remediation_assets.devin.errors import ConcurrencyCap, DevinError, NotAuthorised, QuotaExhausted, RateLimited

from .events import Timeline

_FIRST_BACKOFF_SECONDS = 60.0
_LONGEST_BACKOFF_SECONDS = 1200.0


class HoldKind(StrEnum):
    """Why dispatching is paused."""

    RATE_LIMIT = "rate_limit"
    CONCURRENCY = "concurrency"
    QUOTA = "quota"
    CREDENTIALS = "credentials"
    PERMISSION = "permission"
    REFUSALS = "refusals"
    PERSON = "person"


BACKS_OFF = (HoldKind.RATE_LIMIT, HoldKind.CONCURRENCY)
"""Holds that end by themselves, later each time."""

FOR_A_PERSON = (HoldKind.REFUSALS, HoldKind.PERSON)
"""Holds that nothing but `remediate resume` lifts."""

PROBED_BY_AN_ATTEMPT = (HoldKind.QUOTA, HoldKind.PERMISSION)


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
        if self.kind in FOR_A_PERSON:
            return f"dispatching is on hold ({self.kind}) until `remediate resume`: {self.reason}"
        return f"dispatching is on hold ({self.kind}), tried again at {self.probe_at:%H:%M:%S} UTC: {self.reason}"

    def admits(self, now: datetime) -> int | None:
        """Give how many attempts it lets through now; None for any number."""
        if self.ends_at is not None:
            return 0 if now < self.ends_at else None
        if self.kind not in PROBED_BY_AN_ATTEMPT:
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
    lift(tx, PROBED_BY_AN_ATTEMPT, timeline)


def lift(tx: DuckDBPyConnection, kinds: Container[HoldKind], timeline: Timeline) -> int:
    """Lift the standing holds of some kinds; return how many there were."""
    lifted = 0
    for hold in standing_holds(tx):
        if hold.kind in kinds:
            _lift(tx, hold, timeline)
            lifted += 1
    return lifted


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


def set_hold(tx: DuckDBPyConnection, kind: HoldKind, reason: str, timeline: Timeline, *, seconds: float = 0.0) -> None:
    """Set a hold unless one of its kind stands; `seconds` from now it ends or is probed, as its kind does."""
    lift_ended(tx, timeline)
    if any(hold.kind is kind for hold in standing_holds(tx)):
        return
    then = timeline.now + timedelta(seconds=seconds)
    ends_at = then if kind in BACKS_OFF else None
    probe_at = None if kind in BACKS_OFF or kind in FOR_A_PERSON else then
    tx.execute(
        "INSERT INTO holds SELECT coalesce(max(hold_id), 0) + 1, ?, ?, ?, ?, ?, NULL FROM holds",
        [kind, reason, timeline.now, ends_at, probe_at],
    )
    timeline.add(tx, "hold_set", f"dispatching is on hold ({kind}): {reason}")


def set_hold_for(tx: DuckDBPyConnection, error: DevinError, timeline: Timeline, *, probe_minutes: float) -> None:
    """Set the hold that an account's refusal calls for."""
    if isinstance(error, RateLimited):
        kind = HoldKind.CONCURRENCY if isinstance(error, ConcurrencyCap) else HoldKind.RATE_LIMIT
        seconds = error.retry_after_seconds or _FIRST_BACKOFF_SECONDS * 2.0 ** refusals_in_a_row(tx)
        set_hold(tx, kind, str(error), timeline, seconds=min(seconds, _LONGEST_BACKOFF_SECONDS))
    else:
        kind = (
            HoldKind.QUOTA
            if isinstance(error, QuotaExhausted)
            else HoldKind.CREDENTIALS
            if isinstance(error, NotAuthorised)
            else HoldKind.PERMISSION
        )
        set_hold(tx, kind, str(error), timeline, seconds=probe_minutes * 60)


def refusals_in_a_row(tx: DuckDBPyConnection) -> int:
    """Count the holds for limits since a session was started; while there are any, one attempt goes out at a time."""
    [(count,)] = tx.execute(
        """
        SELECT count(*) FROM holds
        WHERE kind IN (?, ?) AND set_at >= coalesce((SELECT max(dispatched_at) FROM attempts), 'epoch'::TIMESTAMPTZ)
        """,
        list(BACKS_OFF),
    ).fetchall()
    return int(count)


def _lift(tx: DuckDBPyConnection, hold: Hold, timeline: Timeline) -> None:
    tx.execute("UPDATE holds SET lifted_at = ? WHERE hold_id = ?", [timeline.now, hold.hold_id])
    timeline.add(tx, "hold_lifted", f"dispatching goes on ({hold.kind})")
