"""The simulator as an ASGI app over a world: the endpoints of both API versions, put together."""

from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from remediation_assets.simulator.world.limits import AccountRefuses, TooManySessions
from remediation_assets.simulator.world.world import World

from . import control, v1_playbooks, v1_sessions, v3_playbooks, v3_sessions
from .access import ORGANISATION, check_key
from .fault_middleware import FaultMiddleware
from .session_creation import AnswerLost, TruncatedResponse


def create_app(world: World, *, controlled: bool = False) -> FastAPI:
    """Return the app; `controlled` adds the endpoint that changes faults while the app runs."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.world = world
    keyed = [Depends(check_key)]
    app.get("/v3/self", dependencies=keyed)(_self)
    for version in (v3_sessions, v3_playbooks, v1_sessions, v1_playbooks):
        app.include_router(version.router, dependencies=keyed)
    if controlled:
        app.include_router(control.router)
    # Faults of the wire meet every request, whatever it asks and whether its key is any good.
    app.add_middleware(FaultMiddleware)
    app.exception_handler(AccountRefuses)(_refuse)
    app.exception_handler(AnswerLost)(_truncate)
    return app


def _self() -> dict[str, Any]:
    return {
        "principal_type": "service_user",
        "service_user_id": "service-user-simulator",
        "service_user_name": "Simulator",
        "org_id": ORGANISATION,
    }


def _refuse(_request: Request, refusal: AccountRefuses) -> Response:
    return JSONResponse({"detail": str(refusal)}, 429 if isinstance(refusal, TooManySessions) else 402)


def _truncate(_request: Request, _lost: AnswerLost) -> Response:
    return TruncatedResponse()
