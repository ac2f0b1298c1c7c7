"""What a round needs next: to wait, retries, or its verdict."""

import pytest

from remediation_assets.models import Outcome, SessionStatus
from remediation_assets.sessions.model import Attempt
from remediation_assets.sessions.rules.retry import NextStep, RoundState, next_step

S, F, T = Outcome.SUCCESS, Outcome.FAILED, Outcome.TIMEOUT
R, C, V = Outcome.REFUSED, Outcome.CANCELLED, Outcome.VANISHED

Round = dict[str, list[Outcome | None]]


def attempts_of(rounds: list[Round]) -> list[Attempt]:
    """Make the attempts of several rounds; the first of a finding in a round is no retry."""
    made: list[Attempt] = []
    for number, by_finding in enumerate(rounds, start=1):
        for finding, outcomes in by_finding.items():
            before = sum(attempt.finding_key == finding for attempt in made)
            for place, outcome in enumerate(outcomes):
                made.append(attempt(finding, before + place + 1, number, place > 0, outcome))
    return made


def attempt(finding: str, number: int, round_number: int, is_retry: bool, outcome: Outcome | None) -> Attempt:
    values = dict.fromkeys(Attempt.__dataclass_fields__) | {
        "finding_key": finding,
        "attempt": number,
        "wave_number": 1,
        "round": round_number,
        "is_retry": is_retry,
        "status": outcome.status if outcome else SessionStatus.PENDING,
        "outcome": outcome,
    }
    return Attempt(**values)  # type: ignore[arg-type]


def step(*rounds: Round, rate: float = 0.5, retries: int = 2) -> NextStep:
    findings = list(rounds[0])
    state = RoundState(attempts_of(list(rounds)), findings, len(rounds))
    return next_step(state, min_success_rate=rate, max_retries=retries)


def retried(decided: NextStep) -> list[tuple[str, int]]:
    return [(retry.finding_key, retry.attempt) for retry in decided.retries]


@pytest.mark.parametrize(
    "outcomes",
    [
        {"a": [None], "b": [None]},
        {"a": [S], "b": [None]},
        {"a": [S], "b": [F], "c": [None]},
        {"a": [S], "b": [F, None]},
        {"a": [S], "b": [F, F, None]},
    ],
)
def test_a_round_waits_while_an_attempt_has_no_outcome(outcomes: Round) -> None:
    assert step(outcomes) == NextStep()


@pytest.mark.parametrize(
    ("outcomes", "due"),
    [
        ({"a": [S], "b": [F]}, [("b", 1)]),
        ({"a": [S], "b": [T]}, [("b", 1)]),
        ({"a": [S], "b": [F, F]}, [("b", 2)]),
        ({"a": [S], "b": [F, T]}, [("b", 2)]),
        ({"a": [S], "b": [F], "c": [S], "d": [T]}, [("b", 1), ("d", 1)]),
        ({"a": [S], "b": [F, S], "c": [S], "d": [F, F]}, [("d", 2)]),
    ],
)
def test_failures_of_a_round_that_passes_are_tried_again(outcomes: Round, due: list[tuple[str, int]]) -> None:
    decided = step(outcomes)
    assert retried(decided) == due
    assert decided.verdict is None


@pytest.mark.parametrize(
    ("outcomes", "rate", "retries", "passed"),
    [
        pytest.param({"a": [S], "b": [S]}, 1.0, 2, True, id="all succeeded"),
        pytest.param({"a": [S], "b": [F]}, 0.51, 2, False, id="gate missed"),
        pytest.param({"a": [S], "b": [S], "c": [F]}, 1.0, 2, False, id="nothing is retried at a rate of 1"),
        pytest.param({"a": [S], "b": [F, F, F]}, 0.5, 2, True, id="retries used up"),
        pytest.param({"a": [S], "b": [F]}, 0.5, 0, True, id="no retries wanted"),
        pytest.param({"a": [S], "b": [F, F]}, 0.5, 1, True, id="one retry wanted"),
        pytest.param({"a": [S], "b": [R]}, 0.5, 2, True, id="refused is not retried"),
        pytest.param({"a": [S], "b": [F, R]}, 0.5, 2, True, id="a refused retry is not retried"),
        pytest.param({"a": [S], "b": [C]}, 1.0, 2, True, id="cancelled does not count"),
        pytest.param({"a": [S], "b": [V]}, 1.0, 2, True, id="vanished does not count"),
        pytest.param({"a": [S], "b": [R]}, 0.6, 2, False, id="refused counts"),
        pytest.param({"a": [C], "b": [V]}, 0.0, 2, False, id="nothing counts"),
        pytest.param({"a": [F], "b": [F]}, 0.5, 2, False, id="all failed"),
    ],
)
def test_a_round_is_settled_where_no_retry_is_due(outcomes: Round, rate: float, retries: int, passed: bool) -> None:
    decided = step(outcomes, rate=rate, retries=retries)
    assert decided.retries == ()
    assert decided.verdict is not None
    assert decided.verdict.passed is passed


def test_a_retry_that_succeeds_raises_the_rate() -> None:
    verdict = step({"a": [S], "b": [F, S]}).verdict
    assert verdict is not None
    assert verdict.rate == 1.0


def test_retries_that_go_well_do_not_earn_further_ones() -> None:
    decided = step({"a": [S], "b": [F, S], "c": [F]}, rate=0.6)  # as if the threshold was raised in the meantime
    assert decided.retries == ()
    assert decided.verdict is not None
    assert decided.verdict.passed


def test_a_later_round_counts_what_earlier_ones_achieved() -> None:
    verdict = step({"a": [S], "b": [S], "c": [F]}, {"c": [F]}, rate=0.7).verdict
    assert verdict is not None
    assert (verdict.succeeded, verdict.answerable, verdict.passed) == (2, 3, False)


def test_a_later_round_has_retries_of_its_own() -> None:
    assert retried(step({"a": [S], "b": [F, F, F]}, {"b": [F]})) == [("b", 4)]


def test_a_finding_of_the_wave_without_an_attempt_is_none_that_counts() -> None:
    state = RoundState(attempts_of([{"a": [S]}]), ["a", "b"], 1)
    decided = next_step(state, min_success_rate=1.0, max_retries=2)
    assert decided.verdict is not None
    assert (decided.verdict.findings, decided.verdict.answerable) == (2, 1)
