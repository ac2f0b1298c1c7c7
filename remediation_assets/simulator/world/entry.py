"""The world that the settings name, in the data directory."""

from collections.abc import Sequence
from pathlib import Path

from remediation_assets.settings import Settings

from .faults import Faults
from .world import World


def open_world(settings: Settings, faults: Sequence[str] = ()) -> World:
    """Open the world in the data directory, or create it with the settings' seed, time scale and faults.

    An existing world keeps its own; only its faults are replaced, if `faults` are requested for this run.
    """
    requested = Faults([*settings.mock_faults, *faults])
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    world = World(world_path(settings), settings.mock_seed, settings.mock_time_scale, faults=requested)
    if faults:
        world.set_faults(requested)
    return world


def world_path(settings: Settings) -> Path:
    """Return the path of the world's file."""
    return settings.data_dir / "simulator.sqlite"
