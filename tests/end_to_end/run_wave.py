"""A bare process that carries one wave: it opens a round and takes steps until the round has settled.

`python -m tests.end_to_end.run_wave WAVE [POINT NTH]`; it kills itself when it comes to a named point of the
protocol for the nth time. Settings come from the environment, as everywhere.
"""

import asyncio
import os
import shutil
import signal
import sys
from typing import Any

from remediation_assets.connect import connect, open_ledger
from remediation_assets.devin.client import DevinClient
from remediation_assets.devin.errors import DevinError
from remediation_assets.ledger import publish, schema
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.planning.playbooks import read_playbooks
from remediation_assets.sessions import reconcile as steps
from remediation_assets.sessions.policy import Policy
from remediation_assets.sessions.reconcile import advance
from remediation_assets.sessions.steps import dispatch, poll
from remediation_assets.sessions.store import holds
from remediation_assets.sessions.store.rounds import OpenOptions, open_round
from remediation_assets.settings import Settings, load_settings

POINTS = (
    "before claim",
    "after claim",
    "before POST",
    "after POST",
    "after recording",
    "during poll",
    "after settling",
    "between commit and publishing",
    "during publishing",
)


def die_at(point: str, nth: int) -> None:
    """Make this process kill itself when it reaches a point for the nth time."""
    left = nth

    def come(to: str) -> None:
        nonlocal left
        if to == point:
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: Any, name: str, before: str | None, after: str | None) -> None:
        real = getattr(owner, name)

        def patched(*args: Any, **kwargs: Any) -> Any:
            if before:
                come(before)
            result = real(*args, **kwargs)
            if after:
                come(after)
            return result

        setattr(owner, name, patched)

    def around_async(owner: Any, name: str, before: str | None, after: str | None) -> None:
        real = getattr(owner, name)

        async def patched(*args: Any, **kwargs: Any) -> Any:
            if before:
                come(before)
            result = await real(*args, **kwargs)
            if after:
                come(after)
            return result

        setattr(owner, name, patched)

    around(dispatch, "_claim", "before claim", None)
    around_async(dispatch, "_send", "after claim", None)
    around_async(DevinClient, "create_session", "before POST", "after POST")
    around(dispatch, "_hold_for_limits", "after recording", None)
    around_async(poll, "list_sessions", None, "during poll")
    around(steps, "settle_rounds", None, "after settling")
    around(publish, "publish", "between commit and publishing", None)
    around(shutil, "copyfileobj", None, "during publishing")
    around(schema, "create", None, "while the ledger is made")


async def carry(settings: Settings, wave: str) -> None:
    ledger = open_ledger(settings)
    with ledger.transaction() as tx:
        open_round(tx, wave, read_playbooks(), OpenOptions("carry", ignore_gate=True))
    async with connect(settings) as devin:
        while not settled(ledger):
            try:
                await advance(ledger, devin, Policy.of(settings))
            except DevinError as error:
                print(error, file=sys.stderr)
            await asyncio.sleep(settings.poll_interval_seconds)


def settled(ledger: Ledger) -> bool:
    with ledger.transaction() as tx:
        return tx.execute("SELECT count(*) FROM rounds WHERE settled_at IS NULL").fetchone() == (0,)


if __name__ == "__main__":
    # A hold that waits a minute would leave nothing to disturb.
    holds._FIRST_BACKOFF_SECONDS = 0.5
    if len(sys.argv) > 2:
        die_at(sys.argv[2], int(sys.argv[3]))
    asyncio.run(carry(load_settings(), sys.argv[1]))
