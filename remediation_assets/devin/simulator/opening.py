"""The world that the settings mean."""

from collections.abc import Sequence
from pathlib import Path

from remediation_assets.settings import Settings

from .faults import Faults
from .world import World


def open_world(settings: Settings, faults: Sequence[str] = ()) -> World:
    """Enter the world in the data directory, made with the settings' seed, time scale and faults if it is missing.

    `faults` are asked for just now, so they replace those that an older world was made with.
    """
    asked = Faults([*settings.mock_faults, *faults])
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    world = World(world_path(settings), settings.mock_seed, settings.mock_time_scale, faults=asked)
    if faults:
        world.set_faults(asked)
    return world


def world_path(settings: Settings) -> Path:
    """Give the file of the world."""
    return settings.data_dir / "simulator.sqlite"
