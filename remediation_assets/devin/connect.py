"""The client that the settings ask for: live, a simulator elsewhere, or one in this process.

The only place in this package that reads settings.
"""

import logging

import stamina.instrumentation
from pydantic import SecretStr

from remediation_assets.settings import Settings

from .client import DevinClient

logger = logging.getLogger(__name__)


def connect(settings: Settings) -> DevinClient:
    """Make a client; nothing is sent yet, but a simulator's world is made where it is missing."""
    # stamina's own choice is structlog, which prints to standard output, where a script's JSON goes.
    stamina.instrumentation.set_on_retry_hooks([_tell_of_retry])
    if settings.simulates_in_process:
        # Here and not above: a live pipeline never loads the simulator's web framework.
        from .simulator.transport import SimulatorTransport
        from .simulator.world import World

        path = settings.data_dir / "simulator.sqlite"
        world = World(path, settings.mock_seed, settings.mock_time_scale)
        return DevinClient(
            api_key=SecretStr("cog_simulator"),  # the real one, if any, has no business here
            origin="http://simulator",
            org_id="org-simulator",
            transport=SimulatorTransport(world),
        )
    key = settings.devin_api_key
    if settings.mock_mode and not key.get_secret_value():
        key = SecretStr("cog_simulator")
    return DevinClient(api_key=key, origin=settings.api_origin, org_id=settings.devin_org_id)


def _tell_of_retry(details: stamina.instrumentation.RetryDetails) -> None:
    logger.warning("%s; trying again in %.1f s.", details.caused_by, details.wait_for)
