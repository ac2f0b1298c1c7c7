"""A clock that tests set, shared by the pipeline and the simulated world."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2027, 1, 15, 12, tzinfo=UTC)


class Clock:
    """Shows the time that it was set to; sleeping moves it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        self.move(seconds)
