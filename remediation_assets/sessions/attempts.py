"""Attempts as the decisions see them, and the tags by which their sessions are found again."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from typing import Any

from duckdb import DuckDBPyConnection

from remediation_assets.models import Outcome, SessionStatus

RETRIABLE = (Outcome.FAILED, Outcome.TIMEOUT)
"""Outcomes after which another attempt may go better; what they say went wrong is told to it."""


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

    @cached_property
    def tag(self) -> str:
        """Give the tag that names this attempt and no other, in any ledger of the same findings."""
        return attempt_tag(self.finding_key, self.attempt)

    @property
    def label(self) -> str:
        """Name it for people."""
        return f"{self.finding_id} attempt {self.attempt}"


def attempt_tag(finding_key: str, attempt: int) -> str:
    """Give the tag of an attempt."""
    return "attempt-" + hashlib.sha256(f"{finding_key}:{attempt}".encode()).hexdigest()[:32]


def ledger_tag(ledger_id: str) -> str:
    """Give the tag of every session of a ledger; sessions without it are never touched."""
    return f"remediation-{ledger_id}"


def wave_tag(ledger_id: str, wave: str) -> str:
    """Give the tag of every session of a wave, by which a poll lists them."""
    return f"{ledger_tag(ledger_id)}-{wave}"


_OWN = [field.name for field in fields(Attempt) if field.name not in ("finding_id", "repo_url")]


def load_attempts(tx: DuckDBPyConnection, condition: str, values: Sequence[object] = ()) -> list[Attempt]:
    """Load the attempts `a` of plan rows `p` that meet an SQL condition, in the order of waves and plans."""
    own = ", ".join(f'a."{name}"' for name in _OWN)
    rows = tx.execute(
        f"""
        SELECT {own}, p.finding_id, p.repo_url
        FROM attempts a JOIN wave_plan p ON p.finding_key = a.finding_key AND p.wave_number = a.wave_number
        WHERE {condition}
        ORDER BY a.wave_number, a.is_retry, p.position, a.attempt
        """,
        list(values),
    ).fetchall()
    return [_attempt(row) for row in rows]


def update_attempt(tx: DuckDBPyConnection, attempt: Attempt, changes: Mapping[str, Any]) -> None:
    """Set columns of an attempt; their names are ours, never data."""
    assignments = ", ".join(f"{name} = ?" for name in changes)
    # By wave too, for DuckDB then passes over the attempts of all other waves.
    tx.execute(
        f"UPDATE attempts SET {assignments} WHERE wave_number = ? AND finding_key = ? AND attempt = ?",
        [*changes.values(), attempt.wave_number, attempt.finding_key, attempt.attempt],
    )


def with_outcome(tx: DuckDBPyConnection, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Give those of some attempts that have an outcome by now, in one query however many they are."""
    waves = sorted({attempt.wave_number for attempt in attempts})
    settled = set(
        tx.execute(
            "SELECT finding_key, attempt FROM attempts WHERE outcome IS NOT NULL AND list_contains(?, wave_number)",
            [waves],
        ).fetchall()
    )
    return [attempt for attempt in attempts if (attempt.finding_key, attempt.attempt) in settled]


def return_to_pending(tx: DuckDBPyConnection, attempt: Attempt) -> None:
    """Take a claim back, unspent; its request stays, so that a second sending sends the same."""
    update_attempt(tx, attempt, {"claimed_at": None, "claimed_by": None, "unknown_since": None, "fruitless_lookups": 0})


def _attempt(row: tuple[object, ...]) -> Attempt:
    values = dict(zip((field.name for field in fields(Attempt)), row, strict=True))
    values["status"] = SessionStatus(str(values["status"]))
    values["outcome"] = Outcome(str(values["outcome"])) if values["outcome"] else None
    return Attempt(**values)  # type: ignore[arg-type]
