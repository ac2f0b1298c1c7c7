"""How often sensors look."""

from remediation_assets.settings import SettingsError, load_settings


def poll_interval_seconds() -> int:
    """Give the setting's poll interval in whole seconds."""
    # Read when the definitions load; a wrong setting is told by the first run, with its sentence.
    try:
        return max(1, round(load_settings().poll_interval_seconds))
    except SettingsError:
        return 30
