"""The simulator as an HTTP transport: requests reach the app without leaving the process."""

import httpx

from remediation_assets.simulator.world.world import World

from .app import create_app


class SimulatorTransport(httpx.ASGITransport):
    """Carries requests to a world; closing the transport closes the world."""

    def __init__(self, world: World) -> None:
        """Serve the world; an error in the simulator is a 500, as it is over HTTP."""
        super().__init__(app=create_app(world), raise_app_exceptions=False)
        self._world = world

    async def aclose(self) -> None:
        """Close the world."""
        self._world.close()
