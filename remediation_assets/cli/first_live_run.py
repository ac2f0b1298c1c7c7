"""Before a live ledger's first session: one single session first, and what it will cost at most."""

import sys

import click

from remediation_assets.errors import RemediationError
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.settings import Settings


def wants_a_single_session(ledger: Ledger, settings: Settings, wave_size: int) -> bool:
    """Ask, before the first session of a live ledger, whether to start with one; False where none needs asking.

    Raises RemediationError where nobody can be asked, or the person wants neither.
    """
    if settings.mock_mode or _has_dispatched(ledger):
        return False
    attempts = 1 + settings.max_retries
    one = f"{attempts * settings.max_acu_per_session} ACUs ({attempts} attempts of {settings.max_acu_per_session})"
    wave = f"{wave_size * attempts * settings.max_acu_per_session} ACUs"
    if not sys.stdin.isatty():
        raise RemediationError(
            f"This is the first live run of {ledger.path}, and nobody can be asked. To start with one single finding, "
            f"which costs {one} at most, add --wave-size 1 --wave wave-0001 --yes. To start a whole wave, which costs "
            f"{wave} at most, add --yes."
        )
    click.echo(f"This is the first live run of {ledger.path}: sessions cost money and open pull requests.")
    if click.confirm(f"Start with one single finding, which costs {one} at most?", default=True):
        return True
    if click.confirm(f"Start a whole wave of {wave_size} findings, which costs {wave} at most?", default=False):
        return False
    raise RemediationError("Nothing was started. `remediate run FILE --dry-run` shows what would be.")


def _has_dispatched(ledger: Ledger) -> bool:
    if not ledger.path.exists():
        return False
    with ledger.transaction() as tx:
        return tx.execute("SELECT 1 FROM attempts WHERE claimed_at IS NOT NULL LIMIT 1").fetchone() is not None
