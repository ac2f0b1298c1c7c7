"""Attempts in the ledger: the queries that load them, and the statements that change them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from remediation_assets.ledger.transaction import Reader, Transaction
from remediation_assets.models import Outcome, SessionStatus
from remediation_assets.sessions.model import RETRIABLE, Attempt

_NEVER = datetime.min.replace(tzinfo=UTC)

# Each phase of an attempt as a condition on its columns, the same as `Attempt.phase` says. They are conditions and not
# a view with a computed phase because DuckDB skips whole row groups by the statistics of columns, so that a tick stays
# as fast beside all the attempts that ever ended.
PENDING = "(claimed_at IS NULL AND outcome IS NULL)"
CLAIMED = "(claimed_at IS NOT NULL AND session_id IS NULL AND outcome IS NULL)"
LIVE = "(session_id IS NOT NULL AND outcome IS NULL)"
OPEN = "(claimed_at IS NOT NULL AND outcome IS NULL)"
"""Claimed or live: what our own limit of parallel sessions bounds."""

TO_TERMINATE = "(terminate_wanted_at IS NOT NULL AND terminated_at IS NULL AND session_id IS NOT NULL)"
"""Its session is no longer needed and not known to be terminated."""

_OWN_COLUMNS = [field.name for field in fields(Attempt) if field.name not in ("finding_id", "repo_url")]


def pending(tx: Reader) -> list[Attempt]:
    """Load the attempts that nothing was sent for."""
    return _load(tx, PENDING)


def claimable(tx: Reader) -> list[Attempt]:
    """Load the pending attempts that wait for nothing but a slot.

    Such an attempt belongs to an open round of the present plan, and its playbook is at Devin. No earlier attempt
    at its finding is open or has a session that is still to be terminated, so no two agents work on one finding.
    """
    return _load(
        tx,
        f"""
        {PENDING} AND a.cancel_wanted_at IS NULL
        AND EXISTS (
            -- A round of an older plan has prompts that nobody plans any more.
            FROM rounds r JOIN waves w ON w.wave_number = r.wave_number AND w.plan_number = r.plan_number
            WHERE r.wave_number = a.wave_number AND r.round = a.round AND r.settled_at IS NULL
                AND r.stopped_at IS NULL)
        AND NOT EXISTS (
            -- A parked success is not to be terminated, so it does not keep a reopened finding waiting.
            FROM attempts earlier
            WHERE earlier.finding_key = a.finding_key AND earlier.attempt < a.attempt
                AND (earlier.outcome IS NULL OR earlier.session_id IS NOT NULL
                    AND earlier.terminate_wanted_at IS NOT NULL AND earlier.terminated_at IS NULL))
        AND EXISTS (
            -- Without an id there, the session would start without its playbook.
            FROM playbook_versions v
            WHERE v.playbook = a.playbook AND v.playbook_version = a.playbook_version AND v.playbook_id IS NOT NULL)
        """,
    )


def orphaned(tx: Reader) -> list[Attempt]:
    """Load the claims whose create request was never answered and that are not marked as unknown yet.

    Only the holder of the advance lock may call this: it knows that the process that made such a claim is gone.
    """
    return _load(tx, f"{CLAIMED} AND a.unknown_since IS NULL")


def of_polled_waves(tx: Reader, also: Sequence[int]) -> list[Attempt]:
    """Load all attempts of the waves in `also` and of every wave with a claimed or live attempt."""
    return _load(
        tx,
        f"""
        a.wave_number IN (
            -- Whole waves: a list by a wave's tag shows the second sessions of its ended attempts as well.
            SELECT wave_number FROM attempts WHERE {OPEN}
            UNION ALL SELECT unnest(?))
        """,
        [list(also)],
    )


def of_wave(tx: Reader, wave_number: int) -> list[Attempt]:
    """Load all attempts of a wave."""
    return _load(tx, "a.wave_number = ?", [wave_number])


def of_finding(tx: Reader, finding_key: str) -> list[Attempt]:
    """Load all attempts at a finding."""
    return _load(tx, "a.finding_key = ?", [finding_key])


def find_attempt(tx: Reader, finding_key: str, number: int) -> Attempt | None:
    """Load one attempt, None if there is none of that number."""
    return next(iter(_load(tx, "a.finding_key = ? AND a.attempt = ?", [finding_key, number])), None)


@dataclass(frozen=True)
class AttemptEnd:
    """The fields of an attempt that may have changed since it was loaded: its outcome and its session."""

    outcome: Outcome | None
    session_id: str | None


def current_end(tx: Reader, attempt: Attempt) -> AttemptEnd:
    """Load an attempt's outcome and session as they are now."""
    return tx.one(
        AttemptEnd,
        "SELECT outcome, session_id FROM attempts WHERE wave_number = ? AND finding_key = ? AND attempt = ?",
        [attempt.wave_number, attempt.finding_key, attempt.attempt],
    )


def open_of_round(tx: Reader, wave_number: int, number: int) -> list[Attempt]:
    """Load the attempts of a round that have no outcome."""
    return _load(tx, "a.wave_number = ? AND a.round = ? AND a.outcome IS NULL", [wave_number, number])


def to_cancel(tx: Reader) -> list[Attempt]:
    """Load the attempts to be cancelled of which it is known whether they have a session."""
    return _load(tx, f"a.cancel_wanted_at IS NOT NULL AND ({PENDING} OR {LIVE})")


def to_terminate(tx: Reader) -> list[Attempt]:
    """Load the attempts whose session is to be terminated and is not known to be."""
    return _load(tx, TO_TERMINATE)


def suspended(tx: Reader) -> list[Attempt]:
    """Load the attempts whose sessions the account's quota has suspended, the one resumed longest ago first."""
    found = _load(tx, "a.suspended_at IS NOT NULL AND a.outcome IS NULL")
    # The first becomes the probe of quota, so each gets its turn.
    return sorted(found, key=lambda attempt: attempt.resume_sent_at or attempt.suspended_at or _NEVER)


def to_resume(tx: Reader) -> list[Attempt]:
    """Load the attempts whose session is to be resumed and has not been sent a message since that was decided."""
    return _load(
        tx,
        """
        a.outcome IS NULL AND a.resume_wanted_at IS NOT NULL
        AND (a.resume_sent_at IS NULL OR a.resume_sent_at < a.resume_wanted_at)
        """,
    )


def watched_since(tx: Reader, watched_seconds: float) -> list[Attempt]:
    """Load the live attempts whose timeout began when the timeout clock showed `watched_seconds` or less."""
    return _load(tx, f"{LIVE} AND a.watched_from <= ?", [watched_seconds])


def _load(tx: Reader, condition: str, values: Sequence[object] = ()) -> list[Attempt]:
    """Load the attempts `a` that meet a condition, in the order of waves and plans."""
    own = ", ".join(f"a.{name}" for name in _OWN_COLUMNS)
    return tx.rows(
        Attempt,
        f"""
        -- The plan of a frozen wave is never replaced, so the join loses no attempt that was sent.
        SELECT {own}, p.finding_id, p.repo_url
        FROM attempts a
        JOIN wave_plan p ON p.finding_key = a.finding_key AND p.wave_number = a.wave_number
        WHERE {condition}
        ORDER BY a.wave_number, a.is_retry, p.position, a.attempt
        """,
        values,
    )


def with_outcome(tx: Reader, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return the given attempts that have an outcome by now; one query, however many are given."""
    # By wave, so that DuckDB skips the attempts of all others; keys alone would read the whole table.
    waves = sorted({attempt.wave_number for attempt in attempts})
    ended = set(
        tx.execute(
            "SELECT finding_key, attempt FROM attempts WHERE outcome IS NOT NULL AND list_contains(?, wave_number)",
            [waves],
        ).fetchall()
    )
    return [attempt for attempt in attempts if (attempt.finding_key, attempt.attempt) in ended]


def update_attempt(tx: Transaction, attempt: Attempt, **changes: Any) -> None:
    """Set columns of an attempt."""
    # Names of columns come from our code, never from outside.
    assignments = ", ".join(f"{name} = ?" for name in changes)
    # By wave too, so that DuckDB skips the attempts of all other waves.
    tx.execute(
        f"UPDATE attempts SET {assignments} WHERE wave_number = ? AND finding_key = ? AND attempt = ?",
        [*changes.values(), attempt.wave_number, attempt.finding_key, attempt.attempt],
    )


def return_to_pending(tx: Transaction, attempt: Attempt) -> None:
    """Make a claimed attempt pending again; its request is kept, so that it is sent with the same bytes next time."""
    update_attempt(tx, attempt, claimed_at=None, claimed_by=None, unknown_since=None, lookups_not_found=0)


@dataclass(frozen=True)
class NewAttempt:
    """A pending attempt before it is inserted."""

    finding_key: str
    attempt: int
    wave_number: int
    round: int
    is_retry: bool
    playbook: str
    playbook_version: str
    created_at: datetime


def insert_attempt(tx: Transaction, new: NewAttempt) -> None:
    """Add a pending attempt to a round; a finding's attempts are numbered on, and no number is used twice."""
    tx.insert("attempts", vars(new) | {"status": SessionStatus.PENDING})


@dataclass(frozen=True)
class AttemptCounts:
    """How many attempts a wave has had, and how many of them are pending."""

    attempts: int
    pending: int


def count_of_wave(tx: Reader, wave: str) -> AttemptCounts:
    """Count the attempts of a wave."""
    return tx.one(
        AttemptCounts,
        f"""
        SELECT count(*) AS attempts, count(*) FILTER ({PENDING}) AS pending
        FROM attempts SEMI JOIN waves w ON w.wave_number = attempts.wave_number AND w.wave = ?
        """,
        [wave],
    )


def has_dispatched(tx: Reader) -> bool:
    """Whether any attempt was ever claimed."""
    return bool(tx.scalar("SELECT EXISTS (FROM attempts WHERE claimed_at IS NOT NULL)"))


@dataclass(frozen=True)
class LastAnswer:
    """How a create request was answered: the outcome and its reason if the attempt ended, else neither."""

    outcome: Outcome | None
    error_message: str | None


def last_answers(tx: Reader, *, since: datetime | None, most: int) -> list[LastAnswer]:
    """Load the answers to the last create requests that were claimed after a time, the newest first."""
    return tx.rows(
        LastAnswer,
        """
        -- Answers only: one that is unknown, or that returned to pending, says nothing about a cause. The answers of a
        -- chunk have one time; a success among them comes first, so that the refusals beside it are no row.
        SELECT outcome, error_message FROM attempts WHERE claimed_at IS NOT NULL
            AND (session_id IS NOT NULL OR outcome IS NOT NULL)
            AND claimed_at > coalesce(?, 'epoch'::TIMESTAMPTZ)
        ORDER BY coalesce(dispatched_at, completed_at) DESC, session_id IS NULL LIMIT ?
        """,
        [since, most],
    )


def attach_session(tx: Transaction, attempt: Attempt, session_id: str, url: str | None) -> None:
    """Store which session carries out an attempt, unless one is stored already; its timeout clock starts now."""
    tx.execute(
        """
        -- The request is never sent again, so it is not kept. An attempt may have returned to pending before its
        -- session showed up: then it is claimed after all. The last condition keeps a first session from being
        -- replaced.
        UPDATE attempts SET session_id = ?, session_url = ?, status = ?, dispatched_at = ?, request = NULL,
            unknown_since = NULL, claimed_at = coalesce(claimed_at, ?),
            watched_from = (SELECT watched_seconds FROM state)
        WHERE wave_number = ? AND finding_key = ? AND attempt = ? AND session_id IS NULL
        """,
        [
            session_id,
            url,
            SessionStatus.DISPATCHED,
            tx.now,
            tx.now,
            attempt.wave_number,
            attempt.finding_key,
            attempt.attempt,
        ],
    )


@dataclass(frozen=True)
class StoredRequest:
    """The create request that was stored with an attempt's claim, as JSON, and its playbook's id at Devin."""

    request: str | None
    playbook_id: str | None


def stored_request(tx: Reader, attempt: Attempt) -> StoredRequest:
    """Load the create request that is stored for an attempt, and the id of the attempt's playbook at Devin."""
    return tx.one(
        StoredRequest,
        """
        SELECT a.request, v.playbook_id
        FROM attempts a
        LEFT JOIN playbook_versions v ON v.playbook = a.playbook AND v.playbook_version = a.playbook_version
        WHERE a.finding_key = ? AND a.attempt = ?
        """,
        [attempt.finding_key, attempt.attempt],
    )


def last_failure(tx: Reader, finding_key: str, *, before: int) -> str | None:
    """Return the error of a finding's last retriable attempt before the number `before`, None if there is none."""
    reasons = tx.column(
        """
        SELECT error_message FROM attempts
        WHERE finding_key = ? AND attempt < ? AND list_contains(?, outcome) ORDER BY attempt DESC LIMIT 1
        """,
        [finding_key, before, list(RETRIABLE)],
    )
    return reasons[0] if reasons else None


@dataclass(frozen=True)
class LastAttempt:
    """The number of a finding's last attempt and the playbook version that it ran with."""

    attempt: int
    playbook: str
    playbook_version: str


def last_of_finding(tx: Reader, finding_key: str) -> LastAttempt:
    """Load a finding's last attempt; raise ValueError if there is no attempt."""
    return tx.one(
        LastAttempt,
        """
        SELECT attempt, playbook, playbook_version FROM attempts WHERE finding_key = ? ORDER BY attempt DESC LIMIT 1
        """,
        [finding_key],
    )


def count_unterminated(tx: Reader) -> int:
    """Count the attempts whose session is to be terminated, and the claims to be cancelled that may have a session."""
    return int(
        tx.scalar(
            f"""
            SELECT count(*) FROM attempts
            -- A claim that a person wants cancelled may yet turn out to have a session.
            WHERE {TO_TERMINATE} OR (cancel_wanted_at IS NOT NULL AND outcome IS NULL)
            """
        )
    )
