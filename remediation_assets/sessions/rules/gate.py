"""The gate: whether a wave worked well enough for the next one to start. Pure functions."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from remediation_assets.models import GateVerdict, Outcome


@dataclass(frozen=True)
class Verdict:
    """A wave's success rate against its threshold; `rate` is None if nothing counts."""

    findings: int
    succeeded: int
    answerable: int
    threshold: float
    rate: float | None
    interval: tuple[float, float] | None

    @property
    def word(self) -> GateVerdict:
        """Return the verdict in a word; a wave without an outcome that counts is not judged."""
        if self.rate is None:
            return GateVerdict.NOT_JUDGED
        return GateVerdict.PASSED if self.rate >= self.threshold else GateVerdict.FAILED

    @property
    def passed(self) -> bool:
        """Whether the rate reaches the threshold."""
        return self.word is GateVerdict.PASSED

    @property
    def opens(self) -> bool:
        """Whether the next wave may start."""
        return self.passed

    @property
    def sentence(self) -> str:
        """Return the verdict as a clause."""
        return describe(self.succeeded, self.answerable, self.rate, self.threshold)


def describe(succeeded: int, answerable: int, rate: float | None, threshold: float) -> str:
    """Return a clause that compares a rate with its threshold."""
    if rate is None:
        return f"no outcome that counts, needed {threshold:.0%}"
    return f"{succeeded} of {answerable} succeeded, {rate:.0%}, needed {threshold:.0%}"


def evaluate_wave(outcomes: Iterable[Iterable[Outcome]], threshold: float) -> Verdict:
    """Evaluate a wave; `outcomes` are those of each finding's attempts, over all rounds.

    A finding has succeeded if any of its attempts has. It counts if the agent is responsible for any of its outcomes.
    The agent is never responsible for cancelled attempts and vanished sessions.
    """
    findings = [list(of_one) for of_one in outcomes]
    succeeded = sum(Outcome.SUCCESS in of_one for of_one in findings)
    answerable = sum(any(outcome.answerable for outcome in of_one) for of_one in findings)
    return Verdict(
        findings=len(findings),
        succeeded=succeeded,
        answerable=answerable,
        threshold=threshold,
        # Over what the agent answers for, not over all: a session that a person stopped says nothing about a playbook.
        rate=succeeded / answerable if answerable else None,
        interval=wilson_interval(succeeded, answerable) if answerable else None,
    )


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % score interval of a proportion (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    # The normal distribution's quantile for 97.5 %, which leaves 2.5 % on either side.
    z = 1.959963984540054
    rate = successes / trials
    middle = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials))
    # At a rate of 0 or 1 rounding could leave the range by a hair.
    return max(0.0, middle - half), min(1.0, middle + half)
