"""Create what the settings describe: the client of the real or the simulated Devin, and the ledger.

No other module creates a client or a ledger from settings. Nothing is sent, and the ledger is not opened here.
"""

import logging

import stamina.instrumentation
from pydantic import SecretStr

from remediation_assets.devin.client import DevinClient
from remediation_assets.ledger.ledger import Ledger, Stamp
from remediation_assets.reports.batch_run import StateFile
from remediation_assets.settings import Settings

logger = logging.getLogger(__name__)


def connect(settings: Settings) -> DevinClient:
    """Return a client; nothing is sent yet, but a missing simulated world is created."""
    # stamina's default hook is structlog's, which prints to standard output, where a script's JSON goes.
    stamina.instrumentation.set_on_retry_hooks([_log_retry])
    # httpcore's debug lines show headers, and a server may echo the key in one.
    logging.getLogger("httpcore").setLevel(logging.INFO)
    version = settings.api_version
    if not settings.mock_mode:
        key = settings.devin_api_key
        return DevinClient(api_key=key, origin=settings.api_origin, version=version, org_id=settings.devin_org_id)
    # A real key, if there is one, never goes to a simulator, wherever that is.
    key = SecretStr("apk_simulator" if version == "v1" else "cog_simulator")
    if not settings.simulates_in_process:
        return DevinClient(api_key=key, origin=settings.api_origin, version=version, org_id=settings.devin_org_id)
    # Imported here, so that a live pipeline never loads the simulator's web framework.
    from remediation_assets.simulator.http.transport import SimulatorTransport
    from remediation_assets.simulator.world.entry import open_world

    transport = SimulatorTransport(open_world(settings))
    return DevinClient(api_key=key, origin="http://simulator", version=version, transport=transport)


def open_ledger(settings: Settings) -> Ledger:
    """Return the ledger in the settings' data directory; nothing is opened or created yet."""
    in_process = settings.simulates_in_process
    return Ledger(
        settings.data_dir,
        Stamp(
            mode="mock" if settings.mock_mode else "live",
            api_origin="simulator" if in_process else settings.api_origin,
            org_id="" if in_process else settings.devin_org_id,
        ),
        lock_timeout=settings.ledger_lock_timeout_seconds,
        publish_interval=settings.publish_interval_seconds,
        export=StateFile(settings.state_path) if settings.state_path else None,
    )


def _log_retry(details: stamina.instrumentation.RetryDetails) -> None:
    logger.warning("%s; trying again in %.1f s.", details.caused_by, details.wait_for)
