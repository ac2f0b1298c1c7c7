"""What the engine works on: attempts and their phases, holds, and the tags that name sessions at Devin.

Shapes only. What is decided about them is in the rules; how they are stored is in the store.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from remediation_assets.escape import quoted
from remediation_assets.models import Outcome, SessionStatus

RETRIABLE = (Outcome.FAILED, Outcome.TIMEOUT)
"""Outcomes after which another attempt may succeed; the next attempt's prompt repeats what went wrong."""


class Phase(StrEnum):
    """How far an attempt is, in the order of its life; `store/attempts.py` defines each phase as an SQL condition."""

    PENDING = "pending"
    CLAIMED = "claimed"
    """Its create request is sent or about to be, and its session is not known."""

    LIVE = "live"
    """Its session is known and has no outcome."""

    ENDED = "ended"


@dataclass(frozen=True)
class Attempt:
    """One try at one finding; the fields are columns of `attempts`, then two of its plan."""

    finding_key: str
    attempt: int
    wave_number: int
    round: int
    is_retry: bool
    status: SessionStatus
    outcome: Outcome | None
    claimed_at: datetime | None
    unknown_since: datetime | None
    lookups_not_found: int
    session_id: str | None
    watched_from: float | None
    api_status: str | None
    api_detail: str | None
    stage: str | None
    blocked_since: datetime | None
    missing_since: datetime | None
    pr_url: str | None
    acus_consumed: float | None
    observed_hash: str | None
    suspended_at: datetime | None
    resume_wanted_at: datetime | None
    resume_sent_at: datetime | None
    error_message: str | None
    cancel_wanted_at: datetime | None
    terminate_wanted_at: datetime | None
    terminate_error: str | None
    terminated_at: datetime | None
    finding_id: str
    repo_url: str

    @property
    def phase(self) -> Phase:
        """Return how far the attempt is."""
        if self.outcome is not None:
            return Phase.ENDED
        if self.session_id is not None:
            return Phase.LIVE
        return Phase.CLAIMED if self.claimed_at is not None else Phase.PENDING

    @cached_property
    def tag(self) -> str:
        """Return the tag that names this attempt and no other; it is the same in all ledgers of these findings."""
        return attempt_tag(self.finding_key, self.attempt)

    @property
    def label(self) -> str:
        """Return the attempt's name for people."""
        return f"{self.finding_id} attempt {self.attempt}"


class HoldKind(StrEnum):
    """Why dispatching is paused; the words are stored."""

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
        """Return a clause that says what the hold waits for, and until when."""
        # The reason may repeat what the API answered.
        reason = quoted(self.reason)
        if self.ends_at:
            return f"dispatching is on hold until {self.ends_at:%H:%M:%S} UTC ({self.kind}): {reason}"
        if self.kind in FOR_A_PERSON:
            return f"dispatching is on hold ({self.kind}) until `remediate resume`: {reason}"
        return f"dispatching is on hold ({self.kind}), tried again at {self.probe_at:%H:%M:%S} UTC: {reason}"

    def admits(self, now: datetime) -> int | None:
        """Return how many attempts the hold lets through now; None for any number."""
        if self.ends_at is not None:
            return 0 if now < self.ends_at else None
        if self.kind not in PROBED_BY_AN_ATTEMPT:
            return 0
        return 0 if self.probe_at is None or now < self.probe_at else 1


def attempt_tag(finding_key: str, attempt: int) -> str:
    """Return the tag of an attempt."""
    return "attempt-" + hashlib.sha256(f"{finding_key}:{attempt}".encode()).hexdigest()[:32]


def ledger_tag(ledger_id: str) -> str:
    """Return the tag of every session of a ledger; sessions without it are never touched."""
    return f"remediation-{ledger_id}"


def wave_tag(ledger_id: str, wave: str) -> str:
    """Return the tag of every session of a wave, by which a poll lists them."""
    return f"{ledger_tag(ledger_id)}-{wave}"
