"""Holds: dispatching is paused, with a reason and, if it is known, an end.

A hold with an end is lifted when its end has come; after that, attempts are sent one at a time until one is accepted.
A hold without an end is probed once per interval: refused credentials with a request that costs nothing, missing
permission with one attempt, quota with a message to a suspended session, or with one attempt if no session is
suspended. A hold whose cause only a person can fix is lifted by a person.
"""

from collections.abc import Container
from datetime import datetime, timedelta

from remediation_assets.devin.errors import ConcurrencyCap, DevinError, NotAuthorised, QuotaExhausted, RateLimited
from remediation_assets.ledger.transaction import Reader, Transaction
from remediation_assets.models import EventType
from remediation_assets.sessions.model import BACKS_OFF, FOR_A_PERSON, PROBED_BY_AN_ATTEMPT, Hold, HoldKind

# Measured by others: one wait of 60 s was too short, and after some ten quick creations the API refused for 22
# minutes.
_FIRST_BACKOFF_SECONDS = 60.0
_LONGEST_BACKOFF_SECONDS = 1200.0


def standing_holds(tx: Reader) -> list[Hold]:
    """Load the holds that have not been lifted."""
    return tx.rows(
        Hold,
        """
        SELECT hold_id, kind, reason, set_at, ends_at, probe_at FROM holds WHERE lifted_at IS NULL ORDER BY hold_id
        """,
    )


def lift_ended(tx: Transaction) -> None:
    """Lift the holds whose end has come."""
    for hold in standing_holds(tx):
        if hold.ends_at is not None and hold.ends_at <= tx.now:
            _lift(tx, hold)


def lift_probed(tx: Transaction) -> None:
    """Lift the holds that are probed by an attempt, because an attempt was accepted."""
    lift(tx, PROBED_BY_AN_ATTEMPT)


def lift(tx: Transaction, kinds: Container[HoldKind]) -> int:
    """Lift the standing holds of some kinds; return how many there were."""
    lifted = 0
    for hold in standing_holds(tx):
        if hold.kind in kinds:
            _lift(tx, hold)
            lifted += 1
    return lifted


def credentials_probe_due(tx: Transaction) -> bool:
    """Whether refused credentials are to be tried again now."""
    return any(
        hold.kind is HoldKind.CREDENTIALS and hold.probe_at is not None and hold.probe_at <= tx.now
        for hold in standing_holds(tx)
    )


def postpone_credentials_probe(tx: Transaction, probe_minutes: float) -> None:
    """Schedule the next probe of refused credentials; called before the probe that is due is sent."""
    _postpone(tx, probe_minutes, "kind = ?")


def postpone_attempt_probes(tx: Transaction, probe_minutes: float) -> None:
    """Schedule the next probe of all holds that are probed by an attempt; called before the attempt is sent."""
    _postpone(tx, probe_minutes, "kind != ?")


def postpone_quota_probe(tx: Transaction, probe_minutes: float) -> None:
    """Schedule the next probe of a standing quota hold, due or not, because suspended sessions are being resumed."""
    tx.execute(
        "UPDATE holds SET probe_at = ? WHERE kind = ? AND lifted_at IS NULL",
        [tx.now + timedelta(minutes=probe_minutes), HoldKind.QUOTA],
    )


def probe_at_once(tx: Transaction) -> None:
    """Make the probe of every standing hold due, so that the next step sends it."""
    tx.execute("UPDATE holds SET probe_at = ? WHERE lifted_at IS NULL AND probe_at > ?", [tx.now, tx.now])


def _postpone(tx: Transaction, probe_minutes: float, which: str) -> None:
    tx.execute(
        # Only probes that are due are being sent, so only they are put off.
        f"UPDATE holds SET probe_at = ? WHERE lifted_at IS NULL AND ends_at IS NULL AND probe_at <= ? AND {which}",
        [tx.now + timedelta(minutes=probe_minutes), tx.now, HoldKind.CREDENTIALS],
    )


def set_hold(tx: Transaction, kind: HoldKind, reason: str, *, seconds: float = 0.0) -> None:
    """Set a hold unless one of its kind stands.

    Depending on its kind, the hold ends or is first probed `seconds` from now, or only a person lifts it.
    """
    # Else a hold whose end has come would swallow the new one.
    lift_ended(tx)
    if any(hold.kind is kind for hold in standing_holds(tx)):
        return
    then = tx.now + timedelta(seconds=seconds)
    tx.execute(
        """
        INSERT INTO holds (hold_id, kind, reason, set_at, ends_at, probe_at)
        -- No sequence: PostgreSQL reached through DuckDB has none.
        SELECT coalesce(max(hold_id), 0) + 1, ?, ?, ?, ?, ? FROM holds
        """,
        [
            kind,
            reason,
            tx.now,
            then if kind in BACKS_OFF else None,
            # A hold has an end or a probe, or neither if only a person lifts it.
            None if kind in BACKS_OFF or kind in FOR_A_PERSON else then,
        ],
    )
    tx.record(EventType.HOLD_SET, f"dispatching is on hold ({kind}): {reason}")


def set_hold_for(tx: Transaction, error: DevinError, *, probe_minutes: float) -> None:
    """Set the hold that an account's refusal calls for."""
    if isinstance(error, RateLimited):
        kind = HoldKind.CONCURRENCY if isinstance(error, ConcurrencyCap) else HoldKind.RATE_LIMIT
        seconds = error.retry_after_seconds or _FIRST_BACKOFF_SECONDS * 2.0 ** refusals_in_a_row(tx)
        # The bound is for the API's own wait as well: one header must not stop the work for a day.
        set_hold(tx, kind, str(error), seconds=min(seconds, _LONGEST_BACKOFF_SECONDS))
    else:
        kind = (
            HoldKind.QUOTA
            if isinstance(error, QuotaExhausted)
            else HoldKind.CREDENTIALS
            if isinstance(error, NotAuthorised)
            # Also a 404: to create in an organisation that the key cannot see.
            else HoldKind.PERMISSION
        )
        set_hold(tx, kind, str(error), seconds=probe_minutes * 60)


def refusals_in_a_row(tx: Reader) -> int:
    """Count the holds for limits since a session last started; unless it is 0, attempts are sent one at a time."""
    return int(
        tx.scalar(
            """
            SELECT count(*) FROM holds
            -- `>=`: successes and refusals of one chunk are written with the same time, and the refusal is the news.
            WHERE kind IN (?, ?)
                AND set_at >= coalesce((SELECT max(dispatched_at) FROM attempts), 'epoch'::TIMESTAMPTZ)
            """,
            BACKS_OFF,
        )
    )


def _lift(tx: Transaction, hold: Hold) -> None:
    tx.execute("UPDATE holds SET lifted_at = ? WHERE hold_id = ?", [tx.now, hold.hold_id])
    tx.record(EventType.HOLD_LIFTED, f"dispatching goes on ({hold.kind})")


def last_lifted(tx: Reader, kind: HoldKind) -> datetime | None:
    """Return when a hold of a kind was last lifted, None if none ever was."""
    at: datetime | None = tx.scalar("SELECT max(lifted_at) FROM holds WHERE kind = ?", [kind])
    return at
