"""The time of day. Whatever needs it takes a `Clock`, so that a test can set it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the present time with a time zone."""


def utc_now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)
