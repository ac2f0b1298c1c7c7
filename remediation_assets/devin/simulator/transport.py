"""The simulator as an HTTP transport: requests reach the app without leaving the process."""

import httpx

from .app import create_app
from .world import World


class SimulatorTransport(httpx.ASGITransport):
    """Carries requests to a world, which it leaves when it is closed."""

    def __init__(self, world: World) -> None:
        """Serve the world; what goes wrong in the simulator is a 500 here too, as it is over HTTP."""
        super().__init__(app=create_app(world), raise_app_exceptions=False)
        self._world = world

    async def aclose(self) -> None:
        """Leave the world."""
        self._world.close()
