"""What people decide of pull requests: approved, rejected, and reopened, by which a finding is tried again.

Reviews are only ever added. They change no outcome: that is what the agent came to. They say whether a
success stands, so what is not approved counts neither as fixed nor, from then on, for a gate.
"""

from dataclasses import dataclass
from enum import StrEnum

from duckdb import DuckDBPyConnection

from remediation_assets.errors import RemediationError
from remediation_assets.models import Outcome
from remediation_assets.planning.waves import wave_name

from .attempts import Attempt, load_attempts
from .events import Timeline

LONGEST_REASON = 2000
LONGEST_NAME = 100


class Review(StrEnum):
    """What a person said of a pull request."""

    APPROVED = "approved"
    REJECTED = "rejected"
    REOPENED = "reopened"


class NotReviewable(RemediationError):
    """There is nothing to decide, or somebody has decided; the text says what."""


@dataclass(frozen=True)
class Said:
    """A decision as a person gives it."""

    verdict: Review
    reviewer: str
    reason: str = ""


def review(tx: DuckDBPyConnection, finding_key: str, number: int, said: Said, timeline: Timeline) -> None:
    """Approve or reject the pull request of an attempt that succeeded; raises NotReviewable."""
    last = _last_attempt(tx, finding_key)
    if last.attempt != number:
        raise NotReviewable(f"{last.label} is the last one of this finding; look at it anew.")
    if last.outcome is not Outcome.SUCCESS or not last.pr_url:
        raise NotReviewable(f"{last.label} has no pull request to review: it is {last.outcome or last.status}.")
    if before := _said_before(tx, last):
        raise NotReviewable(f"{last.label} was {before[0]} by {before[1]} meanwhile.")
    _add(tx, last, said, timeline)


def reject_and_reopen(tx: DuckDBPyConnection, finding_key: str, number: int, said: Said, timeline: Timeline) -> str:
    """Reject the pull request of an attempt and have its finding tried again; give the wave."""
    review(tx, finding_key, number, Said(Review.REJECTED, said.reviewer, said.reason), timeline)
    return reopen(tx, finding_key, said.reviewer, said.reason, timeline)


def reopen(tx: DuckDBPyConnection, name: str, reviewer: str, reason: str, timeline: Timeline) -> str:
    """Have the next round of its wave take a finding again, named by its key; give the wave.

    Raises NotReviewable where it has not succeeded, for then the next round takes it anyway.
    """
    last = _last_attempt(tx, name)
    wave = wave_name(last.wave_number)
    if last.outcome is None:
        raise NotReviewable(f"{last.label} is under way; wait for its end.")
    if last.outcome is not Outcome.SUCCESS:
        raise NotReviewable(f"{last.label} has not succeeded; the next round of {wave} takes it without being told.")
    if before := _said_before(tx, last):
        if before[0] == Review.REOPENED:
            raise NotReviewable(f"{last.label} was reopened by {before[1]}; the next round of {wave} takes it again.")
        if before[0] == Review.APPROVED:
            raise NotReviewable(f"{last.label} was approved by {before[1]}; what is approved is not tried again.")
    _add(tx, last, Said(Review.REOPENED, reviewer, reason), timeline)
    return wave


def not_standing(tx: DuckDBPyConnection, wave_number: int) -> set[tuple[str, int]]:
    """Load the attempts of a wave, by finding and number, whose success a person has not let stand."""
    rows = tx.execute(
        "SELECT finding_key, attempt FROM last_reviews WHERE wave_number = ? AND verdict != ?",
        [wave_number, Review.APPROVED],
    ).fetchall()
    return {(key, attempt) for key, attempt in rows}


def reopened_attempts(tx: DuckDBPyConnection, finding_key: str) -> set[int]:
    """Load the attempts at a finding after which it was reopened."""
    rows = tx.execute(
        "SELECT attempt FROM last_reviews WHERE finding_key = ? AND verdict = ?", [finding_key, Review.REOPENED]
    ).fetchall()
    return {attempt for (attempt,) in rows}


def why_rejected(tx: DuckDBPyConnection, finding_key: str, before: int) -> str | None:
    """Give what people said against the last fix before an attempt, for the agent; None where nothing was said."""
    rows = tx.execute(
        """
        SELECT reason FROM reviews
        WHERE finding_key = $key AND verdict != $approved AND reason != '' AND attempt = (
            SELECT max(attempt) FROM reviews
            WHERE finding_key = $key AND attempt < $before AND verdict != $approved AND reason != '')
        ORDER BY review_id
        """,
        {"key": finding_key, "approved": Review.APPROVED, "before": before},
    ).fetchall()
    reasons = dict.fromkeys(reason for (reason,) in rows)
    return "Its pull request was rejected in review: " + " ".join(reasons) if rows else None


def _last_attempt(tx: DuckDBPyConnection, finding_key: str) -> Attempt:
    attempts = load_attempts(tx, "a.finding_key = ?", [finding_key])
    if not attempts:
        raise NotReviewable(
            f"No session was started for a finding of the key {finding_key!r}; session_results has keys."
        )
    return max(attempts, key=lambda attempt: attempt.attempt)


def _said_before(tx: DuckDBPyConnection, of: Attempt) -> tuple[str, str] | None:
    row = tx.execute(
        "SELECT verdict, reviewer FROM last_reviews WHERE finding_key = ? AND attempt = ?",
        [of.finding_key, of.attempt],
    ).fetchone()
    return (row[0], row[1]) if row else None


def _add(tx: DuckDBPyConnection, of: Attempt, said: Said, timeline: Timeline) -> None:
    reviewer, reason = " ".join(said.reviewer.split()), said.reason.strip()
    if not reviewer:
        raise NotReviewable("A review has a name; give yours.")
    if said.verdict is Review.REJECTED and not reason:
        raise NotReviewable("A rejection has a reason, which the next attempt is told; give one.")
    if len(reviewer) > LONGEST_NAME or len(reason) > LONGEST_REASON:
        raise NotReviewable(f"A name has at most {LONGEST_NAME} characters, a reason {LONGEST_REASON}; shorten it.")
    tx.execute(
        """
        INSERT INTO reviews (
            review_id, finding_key, attempt, wave_number, pr_url, verdict, reviewer, reason, reviewed_at)
        SELECT coalesce(max(review_id), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ? FROM reviews
        """,
        [
            *(of.finding_key, of.attempt, of.wave_number, of.pr_url, said.verdict, reviewer, reason),
            timeline.now,
        ],
    )
    said_why = f": {reason}" if reason else ""
    timeline.add(tx, f"review_{said.verdict}", f"{of.label} {said.verdict} by {reviewer}{said_why}", attempt=of)
