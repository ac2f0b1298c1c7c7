"""What people decide about pull requests: approved, rejected, or reopened, so that the finding is tried again.

Reviews are only ever added. They change no outcome, because an outcome is what the agent achieved. They decide whether
a success stands: a rejected success does not count as fixed, and counts as a failure the next time its wave is
evaluated.
"""

from dataclasses import dataclass
from enum import StrEnum

from remediation_assets.errors import RemediationError
from remediation_assets.ledger.transaction import Reader, Transaction
from remediation_assets.models import EventType, Outcome
from remediation_assets.planning.waves import wave_name
from remediation_assets.sessions.model import Attempt

from .attempts import of_finding

LONGEST_REASON = 2000
LONGEST_NAME = 100


class Decision(StrEnum):
    """What a person decided about a pull request."""

    APPROVED = "approved"
    REJECTED = "rejected"
    REOPENED = "reopened"


_EVENTS = {
    Decision.APPROVED: EventType.REVIEW_APPROVED,
    Decision.REJECTED: EventType.REVIEW_REJECTED,
    Decision.REOPENED: EventType.REVIEW_REOPENED,
}


class NotReviewable(RemediationError):
    """There is nothing to review, or somebody has already decided; the message says which."""


@dataclass(frozen=True)
class Review:
    """A decision as a person gives it."""

    decision: Decision
    reviewer: str
    reason: str = ""


def review(tx: Transaction, finding_key: str, number: int, given: Review) -> None:
    """Approve or reject the pull request of an attempt that succeeded; raise NotReviewable."""
    last = _last_attempt(tx, finding_key)
    # The page that was decided on may be older than a later attempt.
    if last.attempt != number:
        raise NotReviewable(f"{last.label} is the last one of this finding; look at it again.")
    if last.outcome is not Outcome.SUCCESS or not last.pr_url:
        raise NotReviewable(f"{last.label} has no pull request to review: it is {last.outcome or last.status}.")
    if before := _last_decision(tx, last):
        raise NotReviewable(f"{last.label} was {before.verdict} by {before.reviewer} in the meantime.")
    _add(tx, last, given)


def reject_and_reopen(tx: Transaction, finding_key: str, number: int, given: Review) -> str:
    """Reject the pull request of an attempt and have its finding tried again; return the wave."""
    review(tx, finding_key, number, Review(Decision.REJECTED, given.reviewer, given.reason))
    return reopen(tx, finding_key, given.reviewer, given.reason)


def reopen(tx: Transaction, finding_key: str, reviewer: str, reason: str) -> str:
    """Have the next round of a finding's wave try the finding again; return the wave.

    Raise NotReviewable if the finding has not succeeded, because the next round tries it anyway.
    """
    last = _last_attempt(tx, finding_key)
    wave = wave_name(last.wave_number)
    if last.outcome is None:
        raise NotReviewable(f"{last.label} is under way; wait for its end.")
    if last.outcome is not Outcome.SUCCESS:
        raise NotReviewable(f"{last.label} has not succeeded; the next round of {wave} takes it anyway.")
    if before := _last_decision(tx, last):
        if before.verdict is Decision.REOPENED:
            raise NotReviewable(
                f"{last.label} was reopened by {before.reviewer}; the next round of {wave} takes it again."
            )
        if before.verdict is Decision.APPROVED:
            raise NotReviewable(f"{last.label} was approved by {before.reviewer}; what is approved is not tried again.")
    _add(tx, last, Review(Decision.REOPENED, reviewer, reason))
    return wave


def not_standing(tx: Reader, wave_number: int) -> set[tuple[str, int]]:
    """Load the finding keys and numbers of a wave's attempts whose success a person has rejected or reopened."""
    return set(
        tx.execute(
            """
            SELECT finding_key, attempt FROM reviewed_attempts
            -- The view counts such a success as a failure; no other outcome differs.
            WHERE wave_number = ? AND counted_outcome IS DISTINCT FROM outcome
            """,
            [wave_number],
        ).fetchall()
    )


def reopened_attempts(tx: Reader, finding_key: str) -> set[int]:
    """Load the numbers of the attempts at a finding after which it was reopened."""
    return set(
        tx.column(
            "SELECT attempt FROM last_reviews WHERE finding_key = ? AND verdict = ?", [finding_key, Decision.REOPENED]
        )
    )


def why_rejected(tx: Reader, finding_key: str, before: int) -> str | None:
    """Return, for the agent, why people rejected the last fix before an attempt, None if no reason was given."""
    reasons = tx.column(
        """
        SELECT reason FROM reviews
        WHERE finding_key = $key AND verdict != $approved AND reason != '' AND attempt = (
            SELECT max(attempt) FROM reviews
            WHERE finding_key = $key AND attempt < $before AND verdict != $approved AND reason != '')
        ORDER BY review_id
        """,
        {"key": finding_key, "approved": Decision.APPROVED, "before": before},
    )
    # Without repetitions: rejecting and reopening in one go writes the same reason twice.
    return "Its pull request was rejected in review: " + " ".join(dict.fromkeys(reasons)) if reasons else None


def _last_attempt(tx: Reader, finding_key: str) -> Attempt:
    attempts = of_finding(tx, finding_key)
    if not attempts:
        raise NotReviewable(
            f"No session was started for a finding of the key {finding_key!r}; session_results has keys."
        )
    return max(attempts, key=lambda attempt: attempt.attempt)


@dataclass(frozen=True)
class _Decided:
    verdict: Decision
    reviewer: str


def _last_decision(tx: Reader, attempt: Attempt) -> _Decided | None:
    return tx.one_or_none(
        _Decided,
        "SELECT verdict, reviewer FROM last_reviews WHERE finding_key = ? AND attempt = ?",
        [attempt.finding_key, attempt.attempt],
    )


def _add(tx: Transaction, attempt: Attempt, given: Review) -> None:
    reviewer, reason = " ".join(given.reviewer.split()), given.reason.strip()
    if not reviewer:
        raise NotReviewable("A review has a name; give yours.")
    if given.decision is Decision.REJECTED and not reason:
        raise NotReviewable("A rejection needs a reason, which the next attempt's prompt repeats; give one.")
    if len(reviewer) > LONGEST_NAME or len(reason) > LONGEST_REASON:
        raise NotReviewable(f"A name has at most {LONGEST_NAME} characters, a reason {LONGEST_REASON}; shorten it.")
    tx.execute(
        """
        INSERT INTO reviews (
            review_id, finding_key, attempt, wave_number, pr_url, verdict, reviewer, reason, reviewed_at)
        -- No sequence: PostgreSQL reached through DuckDB has none.
        SELECT coalesce(max(review_id), 0) + 1, ?, ?, ?, ?, ?, ?, ?, ? FROM reviews
        """,
        [
            attempt.finding_key,
            attempt.attempt,
            attempt.wave_number,
            attempt.pr_url,
            given.decision,
            reviewer,
            reason,
            tx.now,
        ],
    )
    why = f": {reason}" if reason else ""
    tx.record(_EVENTS[given.decision], f"{attempt.label} {given.decision} by {reviewer}{why}", attempt=attempt)
