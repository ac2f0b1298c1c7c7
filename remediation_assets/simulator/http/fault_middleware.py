"""The faults of the wire, whatever the request: outages, garbled answers, slow ones."""

import asyncio

from fastapi.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from remediation_assets.simulator.world.world import World

from .control import PREFIX

_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class FaultMiddleware:
    """Stands between the wire and the app; only the control endpoint always passes, to end an outage."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or fail as the faults demand."""
        if scope["type"] != "http" or scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        world: World = scope["app"].state.world
        faults = await run_in_threadpool(lambda: world.faults)
        slow, outage, malformed = (faults.get(name) for name in ("slow", "outage", "malformed"))
        if slow:
            send = _delayed(send, slow.amount)
        if outage and outage.strikes(world.age):
            await HTMLResponse(_PAGE.format("502 Bad Gateway"), 502)(scope, receive, send)
        elif malformed and malformed.strikes(world.age - malformed.seconds / 2):
            # The request is carried out and only its answer is lost, which is the harder case for a client.
            await self._app(scope, receive, _discard)
            await HTMLResponse(_PAGE.format("Just a moment..."))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _delayed(send: Send, seconds: float) -> Send:
    async def wait_and_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            await asyncio.sleep(seconds)
        await send(message)

    return wait_and_send


async def _discard(message: Message) -> None:
    pass
