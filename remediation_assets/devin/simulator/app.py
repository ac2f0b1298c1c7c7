"""The simulator as an ASGI app over a world: all that speaks the Devin API's wire, put together."""

from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from . import control, v1_playbooks, v1_sessions, v3_playbooks, v3_sessions
from .access import ORGANISATION, check_key
from .creating import AnswerLost, BrokenOff
from .interference import Interference
from .limits import AccountRefuses, TooManySessions
from .world import World


def create_app(world: World, *, controlled: bool = False) -> FastAPI:
    """Make the app; `controlled` adds the endpoint by which faults are changed while it runs."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.world = world
    keyed = [Depends(check_key)]
    app.get("/v3/self", dependencies=keyed)(_self)
    for version in (v3_sessions, v3_playbooks, v1_sessions, v1_playbooks):
        app.include_router(version.router, dependencies=keyed)
    if controlled:
        app.include_router(control.router)
    app.add_middleware(Interference)
    app.exception_handler(AccountRefuses)(_refuse)
    app.exception_handler(AnswerLost)(_break_off)
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


def _break_off(_request: Request, _lost: AnswerLost) -> Response:
    return BrokenOff()
