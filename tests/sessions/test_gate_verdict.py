"""The gate: rates, what counts for them, and the interval that is shown with them."""

import pytest

from remediation_assets.models import Outcome
from remediation_assets.sessions.rules.gate import evaluate_wave, wilson_interval

S, F, T = Outcome.SUCCESS, Outcome.FAILED, Outcome.TIMEOUT
R, C, V = Outcome.REFUSED, Outcome.CANCELLED, Outcome.VANISHED


@pytest.mark.parametrize(
    ("outcomes", "succeeded", "answerable", "passed"),
    [
        ([[S], [S], [S], [S], [S], [S], [S], [F], [F], [F]], 7, 10, True),
        ([[S], [S], [S], [S], [S], [S], [F], [F], [F], [F]], 6, 10, False),
        ([[S], [S], [T]], 2, 3, False),
        ([[S], [S], [S], [T]], 3, 4, True),
        ([[F, S], [F, F, S], [S]], 3, 3, True),
        ([[S], [S], [R]], 2, 3, False),
        ([[S], [C], [V]], 1, 1, True),
        ([[F], [C], [V]], 0, 1, False),
        ([[V, F], [S], [S], [S]], 3, 4, True),
        ([[C, S]], 1, 1, True),
        ([[S], []], 1, 1, True),
    ],
)
def test_a_wave_passes_by_the_share_of_its_findings_that_succeeded(
    outcomes: list[list[Outcome]], succeeded: int, answerable: int, passed: bool
) -> None:
    verdict = evaluate_wave(outcomes, 0.7)
    assert (verdict.succeeded, verdict.answerable, verdict.passed) == (succeeded, answerable, passed)
    assert verdict.rate == pytest.approx(succeeded / answerable)
    assert verdict.findings == len(outcomes)


@pytest.mark.parametrize("outcomes", [[], [[]], [[C]], [[V], [C]], [[], [V, V]]])
@pytest.mark.parametrize("threshold", [0.0, 0.7, 1.0])
def test_a_wave_without_an_outcome_that_counts_has_not_passed(outcomes: list[list[Outcome]], threshold: float) -> None:
    verdict = evaluate_wave(outcomes, threshold)
    assert not verdict.passed
    assert (verdict.rate, verdict.interval) == (None, None)
    assert "no outcome that counts" in verdict.sentence


@pytest.mark.parametrize(("threshold", "passed"), [(0.0, True), (0.5, True), (0.51, False), (1.0, False)])
def test_a_rate_equal_to_the_threshold_passes(threshold: float, passed: bool) -> None:
    assert evaluate_wave([[S], [F]], threshold).passed is passed


def test_a_verdict_tells_rate_and_threshold_in_one_sentence() -> None:
    assert evaluate_wave([[S], [F], [F]], 0.7).sentence == "1 of 3 succeeded, 33%, needed 70%"


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe 1998, table I, method 3 (the score interval without continuity correction).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # Symmetry.
        (20, 20, 0.8389, 1.0),
        (5, 10, 0.2366, 0.7634),
    ],
)
def test_the_interval_is_the_published_one(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=0.0001)
