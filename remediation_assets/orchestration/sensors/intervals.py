"""How often the sensors are evaluated."""

from remediation_assets.settings import SettingsError, load_settings


def poll_interval_seconds() -> int:
    """Return POLL_INTERVAL_SECONDS in whole seconds, at least one; 30 if the settings cannot be read."""
    # Read while the definitions load, which a wrong setting must not prevent: the first run reports it.
    try:
        return max(1, round(load_settings().poll_interval_seconds))
    except SettingsError:
        return 30
