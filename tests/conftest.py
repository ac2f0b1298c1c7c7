"""What every test may build on: a ledger, settings, a clock, a simulated Devin, and a machine that does not matter.

The fixtures of waves import what they make: a test of a pure decision is not to wait for the simulator and HTTP.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import stamina
import stamina.instrumentation

from remediation_assets.ledger.ledger import Ledger, Stamp
from remediation_assets.settings import Settings
from tests.support.clock import Clock

if TYPE_CHECKING:
    from remediation_assets.simulator.world.world import World
    from tests.support.scripted_devin import ScriptedDevin
    from tests.support.worker import Worker

# What takes long: Dagster, real programs, a browser, a ledger file, a simulated world. A module says for itself that it
# is slow by `pytestmark` where its folder and its fixtures do not show it.
SLOW_FOLDERS = {"dashboard", "documents", "end_to_end", "ledger", "orchestration"}
SLOW_FIXTURES = {"ledger", "served", "webhook", "world"}

# What a unit test must not do, as Python's audit hooks name it.
OUTSIDE = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "socket.bind"}
watching = False


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not collect folders without a unit test for unit tests alone: it would import Dagster and a web framework."""
    is_slow_folder = collection_path.parent == Path(__file__).parent and collection_path.name in SLOW_FOLDERS
    return True if is_slow_folder and config.option.markexpr == "unit" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test as unit or slow, by its folder and the fixtures that it uses; what mostly waits comes first.

    Whole programs leave the processor free for the tests beside them. Left to the end, they would wait alone.
    """
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        is_slow = folder in SLOW_FOLDERS or not SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        if is_slow:
            item.add_marker(pytest.mark.slow)
        elif not item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.unit)
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)


def _watch(event: str, _arguments: object) -> None:
    if watching and event in OUTSIDE:
        raise RuntimeError(f"{event} in a unit test: mark it as slow")


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def stays_inside(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a unit test that starts a process or opens a server."""
    global watching
    watching = request.node.get_closest_marker("unit") is not None
    yield
    watching = False


@pytest.fixture(autouse=True)
def no_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take away the environment's settings and the working directory's `.env`, which may hold a real key."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def retries_without_waiting() -> Iterator[None]:
    stamina.instrumentation.set_on_retry_hooks([])
    with stamina.set_testing(True, attempts=4, cap=True):
        yield
    stamina.instrumentation.set_on_retry_hooks(None)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stamp() -> Stamp:
    return Stamp("mock", "simulator", "")


@pytest.fixture
def ledger(tmp_path: Path, stamp: Stamp) -> Ledger:
    """Return a ledger that is published only on demand and when a wave settles."""
    return Ledger(tmp_path / "data", stamp, lock_timeout=10.0, publish_interval=3600.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None,
        remediation_data_dir=str(tmp_path / "data"),
        wave_size=4,
        poll_interval_seconds=5.0,
        blocked_confirm_seconds=10.0,
        create_settle_seconds=20.0,
        session_timeout_minutes=10.0,
        hold_probe_minutes=1.0,
        hold_wait_minutes=3.0,
    )


@pytest.fixture
def world(tmp_path: Path, clock: Clock) -> Iterator[World]:
    from remediation_assets.simulator.world.world import World

    # Seed 58 lets two of F-1 to F-12 fail at first, each a different number of times. At this scale every
    # session is done within one poll interval, the slowest in 2.7 s.
    world = World(tmp_path / "simulator.sqlite", 58, 20.0, clock.seconds)
    yield world
    world.close()


@pytest.fixture
def wire(world: World) -> ScriptedDevin:
    from tests.support.scripted_devin import ScriptedDevin

    return ScriptedDevin(world)


@pytest.fixture
async def worker(
    ledger: Ledger, settings: Settings, clock: Clock, world: World, wire: ScriptedDevin
) -> AsyncIterator[Worker]:
    """Yield a worker of waves over a scripted Devin; nothing is planned yet."""
    from pydantic import SecretStr

    from remediation_assets.devin.client import DevinClient
    from tests.support.worker import ORGANISATION, Worker

    devin = DevinClient(api_key=SecretStr("cog_test"), origin="http://simulator", org_id=ORGANISATION, transport=wire)
    async with devin:
        worker = Worker(ledger, settings, clock, world, wire, devin)
        yield worker
        worker.let_go()
