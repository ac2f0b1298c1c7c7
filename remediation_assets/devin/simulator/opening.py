"""The world that the settings mean."""

from remediation_assets.settings import Settings

from .faults import Faults
from .world import World


def open_world(settings: Settings) -> World:
    """Enter the world in the data directory, made with the settings' seed, time scale and faults if it is missing."""
    path = settings.data_dir / "simulator.sqlite"
    return World(path, settings.mock_seed, settings.mock_time_scale, faults=Faults(settings.mock_faults))
