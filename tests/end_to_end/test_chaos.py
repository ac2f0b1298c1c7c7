"""A short form of `make chaos`: whatever dies, each attempt has one session, and the wave ends as undisturbed."""

import random

import pytest

from tests.end_to_end.chaos import Tally, arena, disturb, finish, plan_at_the_second_try, undisturbed

FAULTS = ("lost_answer=0.2", "late=0.1/1", "rate_limit_told=0.1/1", "list_lag=0.3")


@pytest.mark.parametrize(("version", "faults"), [("v3", ()), ("v1", FAULTS)])
def test_a_wave_whose_carriers_are_killed_ends_as_undisturbed(version: str, faults: tuple[str, ...]) -> None:
    expected = undisturbed(version, 4)
    with arena(version, 4, faults, time_scale=15.0) as there:
        tally = Tally()
        plan_at_the_second_try(there, tally)
        disturb(there, 10, random.Random(4), tally)
        finish(there)
        there.check()
        assert there.outcomes() == expected
