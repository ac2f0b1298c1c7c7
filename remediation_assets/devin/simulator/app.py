"""The simulator as an ASGI app over a world: all that speaks the Devin API's wire, put together."""

from typing import Any

from fastapi import Depends, FastAPI

from . import v3_playbooks, v3_sessions
from .access import check_key
from .world import World

ORGANISATION = "org-simulator"


def create_app(world: World) -> FastAPI:
    """Make the app; it serves whatever organisation is asked for, each with sessions of its own."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(check_key)])
    app.state.world = world
    app.get("/v3/self")(_self)
    app.include_router(v3_sessions.router)
    app.include_router(v3_playbooks.router)
    return app


def _self() -> dict[str, Any]:
    return {
        "principal_type": "service_user",
        "service_user_id": "service-user-simulator",
        "service_user_name": "Simulator",
        "org_id": ORGANISATION,
    }
