"""The create request, the same on both versions: the faults it can meet, then the session it creates."""

import asyncio
from collections.abc import Sequence

from fastapi import HTTPException
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from remediation_assets.simulator.world.schedule import subject_of
from remediation_assets.simulator.world.world import SimulatedSession, World

from .requests import PROMPT_LIMIT, CreateSession


class AnswerLost(Exception):
    """The session is created, but the answer to the request must not arrive."""


class TruncatedResponse(Response):
    """A response that ends before its body; without a connection, in the same process, an empty one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # as ASGI calls it
        """Announce a body and send none."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"500")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            await send({"type": "http.response.body", "body": b""})
        except RuntimeError:
            return  # uvicorn sees that the body is too short, and closes the connection


async def start_session(
    world: World, org_id: str, request: CreateSession, repos: Sequence[str] = (), *, idempotent: bool = False
) -> SimulatedSession:
    """Create a session as requested; raise HTTPException, AccountRefuses or AnswerLost if that fails."""
    # The order is the API's: an unusable prompt is refused before it counts as a request, a rate limit or an
    # outage before anything is created. Only the last two faults leave a session behind.
    if len(request.prompt) >= PROMPT_LIMIT:
        raise HTTPException(400, f"Prompt is too long. Must be less than {PROMPT_LIMIT} characters.")
    tags = request.tags or ()
    fault = await run_in_threadpool(world.fault_of_post, subject_of(tags, request.prompt))
    name = fault.name if fault else None
    if fault and name == "rate_limit_told":
        raise HTTPException(429, "Rate limit exceeded", {"Retry-After": f"{fault.seconds:g}"})
    if name == "rate_limit":
        raise HTTPException(429, "Rate limit exceeded")
    if name == "server_error":
        raise HTTPException(503, "Service Unavailable")
    if fault and name == "late":
        await asyncio.sleep(fault.seconds)
    session = await run_in_threadpool(
        world.create_session,
        org_id,
        request.prompt,
        title=request.title,
        tags=tags,
        playbook_id=request.playbook_id,
        repos=repos,
        idempotent=idempotent,
    )
    if name == "lost_answer":
        raise AnswerLost
    return session
