"""Cancelling a run always stops it, where it waits."""

import asyncio
import os
import signal

import dagster as dg
import pytest

from remediation_assets.orchestration.interrupts import run_interruptibly


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_event_loops_own_code_is_not_lost(number: signal.Signals) -> None:
    steps = 0

    async def work() -> None:
        nonlocal steps
        asyncio.get_running_loop().call_soon(lambda: os.kill(os.getpid(), number))
        while steps < 1000:
            steps += 1
            await asyncio.sleep(0.001)

    with pytest.raises(dg.DagsterExecutionInterruptedError):
        run_interruptibly(work())
    assert steps < 1000


def test_the_work_is_cleaned_up_before_the_interruption_is_raised() -> None:
    ended = False

    async def work() -> None:
        nonlocal ended
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended = True

    with pytest.raises(dg.DagsterExecutionInterruptedError):
        run_interruptibly(work())
    assert ended


def test_a_signal_that_comes_as_the_work_ends_is_raised_too() -> None:
    async def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(dg.DagsterExecutionInterruptedError):
        run_interruptibly(work())


def test_the_earlier_signal_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT)

    async def work() -> int:
        return 7

    assert run_interruptibly(work()) == 7
    assert signal.getsignal(signal.SIGINT) is before
