"""What goes wrong on the wire whatever is asked: outages, garbled answers, slowness."""

import asyncio

from fastapi.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .control import PREFIX
from .world import World

_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class Interference:
    """Stands between the wire and the app, and lets only the control endpoint pass in any case."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or fail at it."""
        if scope["type"] != "http" or scope["path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        world: World = scope["app"].state.world
        faults = await run_in_threadpool(lambda: world.faults)
        slow, outage, malformed = (faults.get(name) for name in ("slow", "outage", "malformed"))
        if slow:
            send = _late(send, slow.amount)
        if outage and outage.strikes(world.age):
            await HTMLResponse(_PAGE.format("502 Bad Gateway"), 502)(scope, receive, send)
        elif malformed and malformed.strikes(world.age - malformed.seconds / 2):
            await self._app(scope, receive, _nowhere)
            await HTMLResponse(_PAGE.format("Just a moment..."))(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _late(send: Send, seconds: float) -> Send:
    async def wait_and_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            await asyncio.sleep(seconds)
        await send(message)

    return wait_and_send


async def _nowhere(message: Message) -> None:
    pass
