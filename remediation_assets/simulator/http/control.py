"""The control endpoint, which changes faults while the simulator runs; an app has it only on request."""

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel

from remediation_assets.simulator.world.faults import Faults, FaultUnusable

from .access import TheWorld

PREFIX = "/simulator/"

router = APIRouter(prefix=PREFIX.rstrip("/"))


class FaultList(BaseModel):
    """Faults, each NAME=AMOUNT or NAME=AMOUNT/SECONDS."""

    faults: list[str]


@router.get("/faults")
def show(world: TheWorld) -> FaultList:
    """Return the faults that are set."""
    return FaultList(faults=[str(fault) for fault in world.faults])


@router.put("/faults")
def replace(world: TheWorld, request: FaultList) -> FaultList:
    """Set these faults from now on, and no others."""
    try:
        world.set_faults(Faults(request.faults))
    except FaultUnusable as error:
        raise HTTPException(422, str(error)) from None
    return show(world)
