"""How many sessions running a wave would start now."""

import pytest

from remediation_assets.models import Outcome
from remediation_assets.sessions.events import Timeline
from remediation_assets.sessions.reviewing import reopen
from remediation_assets.sessions.rounds import to_be_started
from tests.support.carrier import Carrier
from tests.support.clock import NOON

pytestmark = pytest.mark.anyio

S, F = Outcome.SUCCESS, Outcome.FAILED


def started(carrier: Carrier) -> int:
    return sum(carrier.read(lambda tx: to_be_started(tx, "wave-0001")).values())


async def test_only_findings_that_get_a_new_session_are_counted(carrier: Carrier) -> None:
    carrier.set(max_parallel_sessions=3)
    carrier.plan(4)
    assert started(carrier) == 4
    carrier.open()
    await carrier.step()
    # Three are at work, the fourth waits for a slot.
    assert started(carrier) == 1


async def test_of_a_wave_that_was_run_what_has_not_succeeded_and_what_was_reopened_are_counted(
    carrier: Carrier,
) -> None:
    carrier.plan(4)
    await carrier.settle(S, F, F, F)
    carrier.collect()
    assert started(carrier) == 3
    key = carrier.key("F-1")
    with carrier.ledger.transaction() as tx:
        reopen(tx, key, "Ada", "Not this way", Timeline(NOON))
    assert started(carrier) == 4
