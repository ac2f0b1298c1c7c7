"""What the engine works on: attempts, the phases they pass through, and the tags that name their sessions at Devin.

Shapes only. What is decided about them is in the rules; how they are stored is in the store.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from remediation_assets.models import Outcome, SessionStatus

RETRIABLE = (Outcome.FAILED, Outcome.TIMEOUT)
"""Outcomes after which another attempt may succeed; the next attempt's prompt repeats what went wrong."""


class Phase(StrEnum):
    """How far an attempt is, in the order of its life; the view `attempt_phases` has the definition in SQL."""

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
    fruitless_lookups: int
    session_id: str | None
    watched_from: float | None
    api_status: str | None
    api_detail: str | None
    blocked_since: datetime | None
    missing_since: datetime | None
    pr_url: str | None
    acus_consumed: float | None
    observed_hash: str | None
    halted_at: datetime | None
    wake_wanted_at: datetime | None
    woken_at: datetime | None
    error_message: str | None
    cancel_wanted_at: datetime | None
    end_wanted_at: datetime | None
    end_error: str | None
    session_ended_at: datetime | None
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
        """Return the tag that names this attempt and no other, in any ledger of the same findings."""
        return attempt_tag(self.finding_key, self.attempt)

    @property
    def label(self) -> str:
        """Return the attempt's name for people."""
        return f"{self.finding_id} attempt {self.attempt}"


def attempt_tag(finding_key: str, attempt: int) -> str:
    """Return the tag of an attempt."""
    return "attempt-" + hashlib.sha256(f"{finding_key}:{attempt}".encode()).hexdigest()[:32]


def ledger_tag(ledger_id: str) -> str:
    """Return the tag of every session of a ledger; sessions without it are never touched."""
    return f"remediation-{ledger_id}"


def wave_tag(ledger_id: str, wave: str) -> str:
    """Return the tag of every session of a wave, by which a poll lists them."""
    return f"{ledger_tag(ledger_id)}-{wave}"
