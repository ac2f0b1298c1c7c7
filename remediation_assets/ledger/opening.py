"""The ledger that the settings mean: where it is and whose results it may hold."""

from remediation_assets.settings import Settings

from .ledger import Ledger, Stamp


def open_ledger(settings: Settings) -> Ledger:
    """Give the ledger of the settings' data directory; nothing is opened or made yet."""
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
        state_path=settings.state_path,
    )
