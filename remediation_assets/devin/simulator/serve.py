"""The simulator over HTTP."""

import uvicorn

from .app import create_app
from .world import World


def serve(world: World, host: str, port: int) -> None:
    """Serve the world until the process is told to stop, then leave it."""
    try:
        uvicorn.run(create_app(world), host=host, port=port, log_level="warning")
    finally:
        world.close()
