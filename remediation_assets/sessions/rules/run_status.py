"""How far the work on all waves is, in one word. A pure function."""

from dataclasses import dataclass

from remediation_assets.models import RunStatus


@dataclass(frozen=True)
class Progress:
    """The facts about all waves that the status depends on."""

    has_claimed: bool
    """Whether any attempt was ever claimed."""

    open_attempts: int
    """Sessions that are live, and claims whose session is not known yet."""

    holds: int
    waves_left: int
    """Waves that have no verdict which opens the next one, and of which something is left to run."""


def run_status(progress: Progress) -> RunStatus:
    """Return the first status that is true, in the order of their life.

    With nothing live, whatever is left waits for somebody: for a person at a failed gate, for a hold to end, for the
    next wave to be started.
    """
    if not progress.has_claimed:
        return RunStatus.PENDING
    if progress.open_attempts:
        return RunStatus.RUNNING
    return RunStatus.PAUSED if progress.holds or progress.waves_left else RunStatus.COMPLETED
