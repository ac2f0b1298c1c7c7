"""A wave ends the same for the same seed: on both wires, in any order, whoever asks."""

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import DevinError
from remediation_assets.devin.types import DevinSession
from remediation_assets.models import Outcome
from remediation_assets.sessions.rules.outcome import classify
from remediation_assets.simulator.world.faults import Faults
from remediation_assets.simulator.world.world import World
from tests.support import processes
from tests.support.clock import NOON, Clock

pytestmark = pytest.mark.anyio

REPOSITORY = "https://git.example.com/acme/shop"
WAVE = 20

Ends = dict[str, tuple[str | None, str | None, Any]]


def prompt(number: int) -> str:
    return f'{{"finding_id": "F-{number}", "repo_url": "{REPOSITORY}"}}'


async def start(client: DevinClient, number: int) -> None:
    await client.create_session(prompt=prompt(number), tags=["wave", f"attempt-{number}"])


def end_of(session: DevinSession) -> tuple[str | None, str | None, Any]:
    judged = classify(session, repo_url=REPOSITORY, blocked_since=NOON, polled_at=NOON, confirm_seconds=0)
    return judged.outcome, judged.pr_url, session.structured_output


async def ends(client: DevinClient) -> Ends:
    return {session.tags[1]: end_of(session) async for session in client.list_sessions(tags=["wave"])}


@pytest.fixture
def expected(tmp_path: Path, clock: Clock) -> Ends:
    """Return how the wave ends if one world is used directly, one finding after the other."""
    world = World(tmp_path / "other.sqlite", 7, 1.0, clock.seconds)
    for number in range(WAVE):
        world.create_session("org-simulator", prompt(number), tags=["wave", f"attempt-{number}"])
    clock.move(60)
    sessions = world.sessions("org-simulator", ["wave"], WAVE, None)
    clock.move(-60)
    world.close()
    return {
        session.tags[1]: (
            Outcome.SUCCESS if session.shows.pull_request else Outcome.FAILED,
            session.shows.pull_request,
            session.shows.output,
        )
        for session in sessions
    }


@pytest.mark.parametrize("concurrency", [1, 7, WAVE])
async def test_a_wave_ends_the_same_on_every_wire_in_any_order(
    client: DevinClient, clock: Clock, expected: Ends, concurrency: int
) -> None:
    numbers = list(range(WAVE))
    random.Random(concurrency).shuffle(numbers)
    gate = asyncio.Semaphore(concurrency)

    async def in_turn(number: int) -> None:
        async with gate:
            await start(client, number)

    await asyncio.gather(*map(in_turn, numbers))
    clock.move(60)
    assert await ends(client) == expected
    assert {outcome for outcome, _, _ in expected.values()} == {Outcome.SUCCESS, Outcome.FAILED}


async def test_another_process_sees_the_same_ends(client: DevinClient, clock: Clock, tmp_path: Path) -> None:
    await asyncio.gather(*(start(client, number) for number in range(WAVE)))
    clock.move(60)
    mine = {tag: str(link) for tag, (_, link, _) in (await ends(client)).items()}
    seen = processes.run(
        """
import sys
from pathlib import Path
from remediation_assets.devin.errors import DevinError
from remediation_assets.simulator.world.faults import Faults
from remediation_assets.simulator.world.world import World
world = World(Path(sys.argv[1]), 7, 1.0, lambda: float(sys.argv[2]))
print({s.tags[1]: str(s.shows.pull_request) for s in world.sessions("org-simulator", ["wave"], 100, None)})
""",
        tmp_path / "simulator.sqlite",
        clock.seconds(),
    )
    assert seen.stdout.strip() == str(mine), seen.stderr


async def test_faults_on_the_way_do_not_change_how_a_wave_ends(
    client: DevinClient, clock: Clock, world: World, expected: Ends
) -> None:
    world.set_faults(Faults(["rate_limit=0.3", "server_error=0.2", "lost_answer=0.2"]))
    met = 0
    for number in range(WAVE):
        while True:
            try:
                await start(client, number)
            except DevinError:
                met += 1
                if [s async for s in client.list_sessions(tags=[f"attempt-{number}"])]:
                    break
            else:
                break
    clock.move(60)
    assert await ends(client) == expected
    assert met > 5
