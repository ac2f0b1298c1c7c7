"""The advance lock: one process at a time takes steps, and a killed one leaves nothing lost or doubled."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from remediation_assets.locks import LockHeld, held
from remediation_assets.sessions.reconcile import advance
from tests.support.processes import CHECKOUT
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio


HOLD_LOCK = """
import sys
from pathlib import Path
from remediation_assets.locks import LockHeld, held
with held(Path(sys.argv[1]), timeout=5):
    print("held", flush=True)
    sys.stdin.read()
"""

DIE_IN_DISPATCH = """
import asyncio, os, signal, sys
from pathlib import Path
import httpx
from pydantic import SecretStr
from remediation_assets.devin.client import DevinClient
from remediation_assets.simulator.http.transport import SimulatorTransport
from remediation_assets.simulator.world.world import World
from remediation_assets.ledger.ledger import Ledger, Stamp
from remediation_assets.sessions.reconcile import advance
from remediation_assets.sessions.policy import Policy
from remediation_assets.settings import Settings
from tests.support.clock import NOON

folder, when = Path(sys.argv[1]), sys.argv[2]

class Deadly(SimulatorTransport):
    async def handle_async_request(self, request):
        deadly = request.method == "POST" and request.url.path.endswith("/sessions")
        if deadly and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await super().handle_async_request(request)
        if deadly and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

async def main():
    world = World(folder / "simulator.sqlite", 58, 20.0, NOON.timestamp)
    devin = DevinClient(api_key=SecretStr("cog_test"), origin="http://simulator", org_id="org-simulator",
        transport=Deadly(world))
    ledger = Ledger(folder / "data", Stamp("mock", "simulator", ""), publish_interval=3600)
    await advance(ledger, devin, Policy.of(Settings(_env_file=None)), now=lambda: NOON)

asyncio.run(main())
"""


@contextmanager
def another_process_holding(path: Path) -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid


async def test_a_step_beside_another_process_does_nothing_and_names_it(worker: Worker) -> None:
    worker.plan(2)
    worker.open()
    with another_process_holding(worker.ledger.data_dir / "advance.lock") as pid:
        step = await worker.step()
    assert f"process {pid} on " in (step.busy or "")
    assert worker.wire.requests == []
    assert worker.attempts("claimed_at") == {("F-1", 1): None, ("F-2", 1): None}
    assert (await worker.step()).started == 2


async def test_two_steps_at_once_in_one_process_send_each_attempt_once(worker: Worker) -> None:
    worker.plan(4)
    worker.open()
    steps = await asyncio.gather(*(worker.step() for _ in range(3)))
    assert sorted(bool(step.busy) for step in steps) == [False, True, True]
    assert len(worker.sessions()) == 4


async def test_following_a_wave_that_another_process_carries_only_waits(worker: Worker) -> None:
    worker.plan(2)
    worker.open()
    lock = worker.ledger.data_dir / "advance.lock"
    beside = held(lock, timeout=0)
    beside.__enter__()
    waits = 0

    async def sleep(seconds: float) -> None:
        nonlocal waits
        waits += 1
        worker.clock.move(seconds)
        if waits == 2:
            beside.__exit__(None, None, None)

    log = await worker.follow(sleep=sleep)
    # Told once, however long it takes.
    assert [line for line in log if "another process runs the waves" in line] == log[:1]
    assert waits > 2
    assert worker.rows("SELECT passed FROM gate_results") == [(True,)]


async def test_the_fence_stands_until_every_creation_has_ended(worker: Worker) -> None:
    worker.plan(2)
    worker.open()
    lock = worker.ledger.data_dir / "advance.lock"
    in_flight = asyncio.Event()
    still_fenced: list[bool] = []

    async def never_answered(_request: httpx.Request) -> httpx.Response:
        in_flight.set()
        try:
            await asyncio.Event().wait()
        finally:
            still_fenced.append(is_held(lock))
        raise AssertionError("unreachable")

    worker.wire.answer_create = never_answered
    step = asyncio.ensure_future(advance(worker.ledger, worker.devin, worker.policy, now=worker.clock))
    await in_flight.wait()
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    assert still_fenced == [True, True]
    assert not is_held(lock)


def is_held(lock: Path) -> bool:
    try:
        with held(lock, timeout=0):
            return False
    except LockHeld:
        return True


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_process_killed_while_it_creates_sessions_leaves_one_for_each_attempt(
    worker: Worker, tmp_path: Path, when: str
) -> None:
    worker.plan(4)
    worker.open()
    worker.let_go()
    killed = subprocess.run([sys.executable, "-c", DIE_IN_DISPATCH, str(tmp_path), when], cwd=CHECKOUT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert worker.rows("SELECT count(*) FROM attempts WHERE claimed_at IS NOT NULL AND session_id IS NULL") == [(4,)]
    assert bool(worker.sessions()) == (when == "after")
    await worker.step()
    await worker.step(after=20)
    assert {session.session_id for session in worker.sessions()} == set(worker.session_ids().values())
    assert len(worker.sessions()) == 4
