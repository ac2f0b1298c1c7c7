"""The cost of the client over HTTP: listing many sessions, and creating many at once."""

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from remediation_assets.devin.client import DevinClient, Version
from remediation_assets.simulator.world.world import World
from tests.benchmarks.figures import Figure
from tests.support.processes import simulator

KEYS: dict[Version, str] = {"v1": "apk_bench", "v3": "cog_bench"}
SESSIONS, CONCURRENCY, ANSWER_SECONDS = 200, 20, 0.05
V3 = "/v3/organizations/org-simulator/sessions"


class Counting(httpx.AsyncHTTPTransport):
    """Counts requests."""

    requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        return await super().handle_async_request(request)


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        world = World(Path(name) / "simulator.sqlite", 12, 1.0)
        for number in range(1000):
            world.create_session("org-simulator", "Fix it", tags=["bench", f"attempt-{number}"])
        world.close()
        with simulator(Path(name)) as served:
            for version in ("v3", "v1"):
                yield from asyncio.run(_listing(served.origin, version))
    with tempfile.TemporaryDirectory() as name, simulator(Path(name), "--fault", f"slow={ANSWER_SECONDS}") as served:
        peer = asyncio.run(_timed(lambda: _create_plainly(served.origin)))
        for version in ("v3", "v1"):
            yield from asyncio.run(_creating(served.origin, version, peer))  # type: ignore[arg-type]


async def _listing(origin: str, version: Version) -> list[Figure]:
    transport = Counting()
    async with DevinClient(
        api_key=SecretStr(KEYS[version]), origin=origin, version=version, org_id="org-simulator", transport=transport
    ) as client:

        async def listed() -> None:
            assert len([session async for session in client.list_sessions(tags=["bench"])]) == 1000

        await listed()
        requests = transport.requests
        seconds = await _timed(listed)
    plain = await _timed(lambda: _list_plainly(origin, version))
    size = 200 if version == "v3" else 100
    return [
        Figure(f"{version}: list 1,000 sessions of one tag", requests, "requests", 1000 / size, f"pages of {size}"),
        Figure(f"{version}: list 1,000 sessions", seconds, "s", plain, "httpx and json.loads alone"),
    ]


async def _list_plainly(origin: str, version: Version) -> None:
    headers = {"Authorization": f"Bearer {KEYS[version]}"}
    async with httpx.AsyncClient(base_url=origin, headers=headers) as http:
        if version == "v1":
            for offset in range(0, 1000, 100):
                page = await http.get("/v1/sessions", params={"tags": "bench", "limit": 101, "offset": offset})
                json.loads(page.content)
            return
        after = None
        while True:
            params: dict[str, Any] = {"tags": "bench", "first": 200} | ({"after": after} if after else {})
            after = json.loads((await http.get(V3, params=params)).content)["end_cursor"]
            if after is None:
                return


async def _creating(origin: str, version: Version, peer: float) -> list[Figure]:
    async with DevinClient(
        api_key=SecretStr(KEYS[version]), origin=origin, version=version, org_id="org-simulator"
    ) as client:

        async def create(number: int) -> None:
            await client.create_session(prompt=f"Fix {version} {number}", tags=["made"])

        seconds = await _timed(lambda: _at_once(create))
    what = f"{version}: create {SESSIONS} sessions, {CONCURRENCY} at a time"
    floor = SESSIONS / CONCURRENCY * ANSWER_SECONDS
    return [
        Figure(what, seconds, "s", floor, f"answers of {ANSWER_SECONDS * 1000:.0f} ms alone"),
        Figure(what, seconds, "s", peer, "httpx alone"),
    ]


async def _create_plainly(origin: str) -> None:
    headers = {"Authorization": f"Bearer {KEYS['v3']}"}
    async with httpx.AsyncClient(base_url=origin, headers=headers) as http:

        async def create(number: int) -> None:
            answer = await http.post(V3, json={"prompt": f"Fix plainly {number}", "tags": ["made"]})
            answer.raise_for_status()

        await _at_once(create)


async def _at_once(create: Callable[[int], Awaitable[None]]) -> None:
    places = asyncio.Semaphore(CONCURRENCY)

    async def in_place(number: int) -> None:
        async with places:
            await create(number)

    await asyncio.gather(*map(in_place, range(SESSIONS)))


async def _timed(run: Callable[[], Awaitable[None]]) -> float:
    started = time.perf_counter()
    await run()
    return time.perf_counter() - started
