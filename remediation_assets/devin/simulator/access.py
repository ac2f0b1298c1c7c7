"""What every endpoint needs first: a key that could be one, and the world."""

from typing import Annotated

from fastapi import Depends, Header, HTTPException, Request

from .world import World


def check_key(authorization: Annotated[str, Header()] = "") -> None:
    """Let any key of a v3 form pass; 401 in the API's own words for all else."""
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.startswith("cog_"):
        raise HTTPException(401, "Unauthenticated")


def _world_of(request: Request) -> World:
    world: World = request.app.state.world
    return world


TheWorld = Annotated[World, Depends(_world_of)]
