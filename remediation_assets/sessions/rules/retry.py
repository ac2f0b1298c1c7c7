"""What an open round needs next: to wait, retries, or its verdict. Pure functions."""

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass

from remediation_assets.models import Outcome
from remediation_assets.sessions.model import RETRIABLE, Attempt

from .gate import Verdict, evaluate_wave


@dataclass(frozen=True)
class RoundState:
    """The facts about a round that its next step depends on.

    `attempts` and `findings` are those of its whole wave, over all rounds. `not_standing` has the finding keys and
    numbers of successes that a person has rejected or reopened: they count as failures, and only a person can have
    the finding tried again. Findings in `closed`, which the last scan no longer reports, are not tried again.
    """

    attempts: Sequence[Attempt]
    findings: Sequence[str]
    number: int
    not_standing: Container[tuple[str, int]] = ()
    closed: Container[str] = ()


@dataclass(frozen=True)
class NextStep:
    """What a round needs: nothing yet, a further attempt after each of `retries`, or its verdict."""

    retries: tuple[Attempt, ...] = ()
    verdict: Verdict | None = None


def next_step(state: RoundState, *, min_success_rate: float, max_retries: int) -> NextStep:
    """Decide what a round needs.

    Retries are due only once all first attempts have an outcome and the first attempts alone pass the gate: a round
    whose first attempts miss it has a playbook or agent problem, and retrying would burn money. Retries can only raise
    the rate, so a round that has passed by its first attempts cannot fail by its retries.
    """
    of_round = [attempt for attempt in state.attempts if attempt.round == state.number]
    # Retries too: with one under way the verdict could still change.
    if any(attempt.outcome is None for attempt in of_round):
        return NextStep()
    # By first attempts alone: counted with them, lucky retries would earn the round further ones.
    if _verdict(state, min_success_rate, with_retries=False).passed:
        by_finding: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in of_round:
            by_finding[attempt.finding_key].append(attempt)
        due = tuple(
            max(attempts, key=lambda attempt: attempt.attempt)
            for finding, attempts in by_finding.items()
            if may_be_retried(attempts, max_retries) and finding not in state.closed
        )
        if due:
            return NextStep(retries=due)
    return NextStep(verdict=_verdict(state, min_success_rate, with_retries=True))


def may_be_retried(of_finding: Sequence[Attempt], max_retries: int) -> bool:
    """Whether a finding with the given attempts in a round may have a further attempt in that round."""
    # All, so that a refused, cancelled or vanished attempt ends it for this round. The first attempt is no retry,
    # hence `<=`.
    return all(attempt.outcome in RETRIABLE for attempt in of_finding) and len(of_finding) <= max_retries


def _verdict(state: RoundState, min_success_rate: float, *, with_retries: bool) -> Verdict:
    # Findings without an attempt are part of the wave, though none of its outcomes.
    outcomes: dict[str, list[Outcome]] = {finding: [] for finding in state.findings}
    for attempt in state.attempts:
        counts = attempt.round < state.number or (
            attempt.round == state.number and (with_retries or not attempt.is_retry)
        )
        if counts and attempt.outcome:
            stands = (attempt.finding_key, attempt.attempt) not in state.not_standing
            outcomes.setdefault(attempt.finding_key, []).append(attempt.outcome if stands else Outcome.FAILED)
    return evaluate_wave(outcomes.values(), min_success_rate)
