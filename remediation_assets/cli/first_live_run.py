"""The question before the first session of a live ledger: how much to start, and what it costs at most."""

import sys
from enum import StrEnum

import click

from remediation_assets.errors import RemediationError
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.sessions.store.attempts import has_dispatched
from remediation_assets.settings import Settings


class Start(StrEnum):
    """How much of the plan a run starts."""

    ALL = "all waves, one after the other"
    WAVE = "one wave"
    FINDING = "one finding"


def how_to_start(ledger: Ledger, settings: Settings, wave_size: int) -> Start:
    """Return how much of the plan to start; ask a person before the first run of a live ledger, else return ALL.

    Raise RemediationError if there is no terminal to ask on, or if the person declines both offers.
    """
    if settings.mock_mode or _has_dispatched(ledger):
        return Start.ALL
    attempts = 1 + settings.max_retries
    one = f"{attempts * settings.max_acu_per_session} ACUs ({attempts} attempts of {settings.max_acu_per_session})"
    wave = f"{wave_size * attempts * settings.max_acu_per_session} ACUs"
    # In CI or cron a question would wait for nobody, or take the next line of a script as the answer.
    if not sys.stdin.isatty():
        raise RemediationError(
            f"This is the first live run of {ledger.path}, and there is no terminal to ask on. To start with a single "
            f"finding, which costs {one} at most, add --wave-size 1 --wave wave-0001 --yes. To start one wave, which "
            f"costs {wave} at most, add --wave wave-0001 --yes. With --yes alone all waves "
            "run, as long as their gates pass."
        )
    click.echo(f"This is the first live run of {ledger.path}: sessions cost money and open pull requests.")
    if click.confirm(f"Start with a single finding, which costs {one} at most?", default=True):
        return Start.FINDING
    if click.confirm(f"Start with one wave of {wave_size} findings, which costs {wave} at most?", default=False):
        return Start.WAVE
    raise RemediationError("Nothing was started. `remediate run FILE --dry-run` shows what would be started.")


def _has_dispatched(ledger: Ledger) -> bool:
    # A transaction would create an empty ledger.
    if not ledger.path.exists():
        return False
    with ledger.transaction() as tx:
        return has_dispatched(tx)
