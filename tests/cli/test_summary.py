"""Counts and totals as sentences."""

import pytest

from remediation_assets.cli.output import describe
from remediation_assets.reports.waves import Totals
from remediation_assets.wording import counted


@pytest.mark.parametrize(
    ("number", "noun", "plural", "words"),
    [
        (0, "row", "", "0 rows"),
        (1, "row", "", "1 row"),
        (2, "row", "", "2 rows"),
        (1, "finding is", "findings are", "1 finding is"),
        (12345, "finding is", "findings are", "12,345 findings are"),
    ],
)
def test_a_number_agrees_with_its_noun(number: int, noun: str, plural: str, words: str) -> None:
    assert counted(number, noun, plural) == words


def totals(**figures: int) -> Totals:
    none = dict.fromkeys(("succeeded", "failed", "at_work", "stopped", "not_started", "pull_requests"), 0)
    counts = none | figures
    planned = sum(counts.values()) - counts["pull_requests"]
    return Totals(planned=planned, **counts, acus=None, live=0, unanswered=0, last_poll_at=None, holds=())


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        ({}, "0 findings fixed, 0 pull requests; 0 findings are planned."),
        ({"failed": 5}, "0 findings fixed (0% of 5 with a result), 5 failed, 0 pull requests; 5 findings are planned."),
        (
            {"succeeded": 1, "pull_requests": 1},
            "1 finding fixed (100% of 1 with a result), 1 pull request; 1 finding is planned.",
        ),
        (
            {"succeeded": 2, "failed": 1, "at_work": 3, "stopped": 4, "not_started": 1500, "pull_requests": 2},
            "2 findings fixed (67% of 3 with a result), 1 failed, 3 at work, 4 stopped, 1,500 not started, "
            "2 pull requests; 1,510 findings are planned.",
        ),
    ],
)
def test_the_parts_of_the_totals_add_up(figures: dict[str, int], sentence: str) -> None:
    assert describe(totals(**figures)) == sentence
