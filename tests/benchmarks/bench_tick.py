"""One step over 1,000 live sessions of a wave, with few and with many finished sessions in other waves."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
from pydantic import SecretStr

from remediation_assets.devin.client import DevinClient
from remediation_assets.ledger import schema
from remediation_assets.ledger.ledger import Ledger, Stamp
from remediation_assets.sessions.model import attempt_tag, ledger_tag, wave_tag
from remediation_assets.sessions.policy import Policy
from remediation_assets.sessions.reconcile import advance
from remediation_assets.settings import Settings
from remediation_assets.simulator.http.transport import SimulatorTransport
from remediation_assets.simulator.world.world import World
from tests.benchmarks.figures import Figure

LIVE, CHANGED = 1000, 100
ORGANISATION = "org-simulator"


class Clock:
    """The world's clock, which does not move unless it is set."""

    now = time.time()

    def __call__(self) -> float:
        return self.now


class Counting(SimulatorTransport):
    """Counts requests."""

    requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        return await super().handle_async_request(request)


def figures() -> Iterator[Figure]:
    few = _ticks(1_000)
    many = _ticks(100_000)
    yield Figure("requests of a tick, 1,000 live on v3", many["requests"], "requests", LIVE / 200, "pages of 200")
    for kind in ("unchanged", "changed"):
        what = f"tick, {'nothing' if kind == 'unchanged' else f'{CHANGED} of {LIVE}'} changed"
        yield Figure(f"{what}, 100,000 finished", many[kind], "s", few[kind], "1,000 finished")
    yield Figure("publishing, 100,000 finished", many["publishing"], "s", few["publishing"], "1,000 finished")


def _ticks(finished: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder, clock = Path(name), Clock()
        ledger = Ledger(folder / "data", Stamp("mock", "simulator", ""), publish_interval=1e9)
        world = World(folder / "simulator.sqlite", 12, 1.0, clock)
        _fill(ledger, world, finished)
        return asyncio.run(_measure(ledger, world))


def _fill(ledger: Ledger, world: World, finished: int) -> None:
    empty = ", ".join("'https://git.example.com/a/b'" if c == "repo_url" else "''" if k == "VARCHAR" else "NULL"
                      for c, k in schema.FINDING_COLUMNS.items())  # fmt: skip
    with ledger.transaction() as tx:
        for wave, count in ((1, finished), (2, LIVE)):
            tx.execute(
                f"""
                INSERT INTO wave_plan
                SELECT 'wave-000{wave}', {wave}, i, 1, '{wave}-' || i, {empty}, 1, 'xss', 'v', repeat('prompt ', 400)
                FROM range({count}) t(i)
                """
            )
            tx.execute(f"INSERT INTO waves VALUES ('wave-000{wave}', {wave}, 1, now(), now(), false)")
        tx.execute(
            f"""
            INSERT INTO attempts BY NAME
            SELECT '1-' || i AS finding_key, 1 AS attempt, 1 AS wave_number, 1 AS round, false AS is_retry,
                'success' AS status, 'success' AS outcome, 'xss' AS playbook, 'v' AS playbook_version,
                now() AS created_at, now() AS claimed_at, 'devin-1-' || i AS session_id, now() AS completed_at,
                now() AS terminated_at
            FROM range({finished}) t(i)
            """
        )
        tx.execute(
            f"""
            INSERT INTO observations
            SELECT '1-' || i, 1, now(), '[]', '{{}}', true, repeat(md5(i::VARCHAR), 60) FROM range({finished}) t(i)
            """
        )
        tx.execute(
            "INSERT INTO rounds (wave_number, round, opened_at, plan_number, ignored_gate)"
            " VALUES (2, 1, now(), 1, true)"
        )
        tx.execute("INSERT INTO playbook_versions VALUES ('xss', 'v', 'T', 'B', 'playbook-1', now())")
    ledger_id = ledger.ledger_id
    tags = [ledger_tag(ledger_id), wave_tag(ledger_id, "wave-0002")]
    rows = []
    for number in range(LIVE):
        session = world.create_session(ORGANISATION, "Fix it", tags=[*tags, attempt_tag(f"2-{number}", 1)])
        rows.append([f"2-{number}", session.session_id])
    with ledger.transaction() as tx:
        tx.executemany(
            """
            INSERT INTO attempts (finding_key, attempt, wave_number, round, is_retry, status, playbook,
                playbook_version, created_at, claimed_at, session_id, dispatched_at, watched_from)
            VALUES (?, 1, 2, 1, false, 'dispatched', 'xss', 'v', now(), now(), ?, now(), 0)
            """,
            rows,
        )


async def _measure(ledger: Ledger, world: World) -> dict[str, float]:
    settings = Settings(_env_file=None, max_parallel_sessions=LIVE, publish_interval_seconds=1e9)
    transport = Counting(world)
    async with DevinClient(
        api_key=SecretStr("cog_bench"), origin="http://simulator", org_id=ORGANISATION, transport=transport
    ) as devin:

        async def tick() -> float:
            begun = time.perf_counter()
            await advance(ledger, devin, Policy.of(settings))
            return time.perf_counter() - begun

        await tick()
        transport.requests = 0
        unchanged = min([await tick() for _ in range(3)])
        requests = transport.requests / 3
        changed = []
        for _ in range(3):
            # A change of every tenth session that shows at any stage.
            with world._store.writing() as store:
                store.execute(
                    "UPDATE sessions SET created_at = created_at - 3 WHERE number % ? = 0", (LIVE // CHANGED,)
                )
            changed.append(await tick())
    begun = time.perf_counter()
    ledger.publish(force=True)
    return {
        "requests": requests,
        "unchanged": unchanged,
        "changed": min(changed),
        "publishing": time.perf_counter() - begun,
    }
