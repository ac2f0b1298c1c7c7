"""A simulated world on a clock that tests set, and clients that reach it in-process and over HTTP."""

import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from remediation_assets.devin.client import DevinClient, Version
from remediation_assets.simulator.http.app import create_app
from remediation_assets.simulator.http.transport import SimulatorTransport
from remediation_assets.simulator.world.world import World
from tests.support.clock import Clock


class Recorded(httpx.AsyncBaseTransport):
    """Gives prepared answers in turn, the last one again and again, and keeps the requests."""

    def __init__(self, answers: list[httpx.Response | Exception]) -> None:
        self.answers = answers
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        if isinstance(answer, Exception):
            raise answer
        # A new one each time, for a response is read only once.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


Reached = tuple[str, SimulatorTransport | None]
KEYS: dict[Version, SecretStr] = {"v1": SecretStr("apk_test"), "v3": SecretStr("cog_test")}

Answering = Callable[..., tuple[DevinClient, list[httpx.Request]]]


@pytest.fixture
def world(tmp_path: Path, clock: Clock) -> Iterator[World]:
    world = World(tmp_path / "simulator.sqlite", 7, 1.0, clock.seconds)
    yield world
    world.close()


@pytest.fixture
def answering() -> Answering:
    """Make a client whose API gives prepared answers, and the list of the requests it got."""

    def make(
        *answers: httpx.Response | Exception, org_id: str = "org-1", key: str = "cog_test", version: Version = "v3"
    ) -> tuple[DevinClient, list[httpx.Request]]:
        transport = Recorded(list(answers))
        client = DevinClient(
            api_key=SecretStr(key), origin="http://api.test", version=version, org_id=org_id, transport=transport
        )
        return client, transport.requests

    return make


@pytest.fixture(scope="session")
def served() -> Iterator[tuple[FastAPI, str]]:
    """Serve one app over HTTP; a test puts its own world into it."""
    app = create_app(None)  # type: ignore[arg-type]
    # Listening from here on, so that nobody has to wait for the server's start.
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield app, f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture(params=["in process", "over HTTP"])
def reached(request: pytest.FixtureRequest, world: World) -> Reached:
    """Return the simulator's origin and the transport by which it is reached."""
    if request.param == "in process":
        return "http://simulator", SimulatorTransport(world)
    app, origin = request.getfixturevalue("served")
    app.state.world = world
    return origin, None


@pytest.fixture
async def wire(reached: Reached) -> AsyncIterator[httpx.AsyncClient]:
    """Reach the simulator by plain HTTP, with a key of v3."""
    origin, transport = reached
    headers = {"Authorization": "Bearer cog_test"}
    async with httpx.AsyncClient(base_url=origin, headers=headers, transport=transport) as http:
        yield http


@pytest.fixture
async def v1_wire(wire: httpx.AsyncClient) -> httpx.AsyncClient:
    """Reach the simulator by plain HTTP, with a key of v1."""
    wire.headers["Authorization"] = "Bearer apk_test"
    return wire


@pytest.fixture(params=["v1", "v3"])
def version(request: pytest.FixtureRequest) -> Version:
    """Return each version of the API in turn."""
    asked: Version = request.param
    return asked


@pytest.fixture
async def client(reached: Reached, version: Version) -> AsyncIterator[DevinClient]:
    """Reach the simulator as the pipeline does, on both versions, in process and over HTTP."""
    origin, transport = reached
    async with DevinClient(api_key=KEYS[version], origin=origin, version=version, transport=transport) as client:
        yield client
