"""`remediate doctor`: check everything that a run needs, changing nothing; each line says ok, or what to do."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from remediation_assets.connect import connect, open_ledger
from remediation_assets.devin.errors import DevinError, Unavailable
from remediation_assets.errors import RemediationError
from remediation_assets.escape import plain
from remediation_assets.findings.intake.files import absolute, findings_files
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.planning.playbooks import read_playbooks
from remediation_assets.reports.waves import totals
from remediation_assets.sessions.model import ledger_tag
from remediation_assets.settings import CHECKOUT, Settings, load_settings

from .dagster_runs import is_used
from .options import ExampleCommand
from .output import report_errors

FREE_GB = 2.0
"""Free space below which a large scan, or publishing a large ledger, could fail."""


@dataclass(frozen=True)
class Check:
    """The result of one check; the message of a failed one says what to do."""

    name: str
    ok: bool
    message: str


@click.command(cls=ExampleCommand, example="remediate doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the checks as a JSON list.")
@report_errors
def doctor(as_json: bool) -> None:
    """Check settings, Dagster's home, disk, ledger, playbooks, findings and, in live mode, the key; change nothing.

    Costs nothing: Devin is only asked who we are, and for lists. Exit code 1 if a check fails.
    """
    checks = []
    for check in _checks():
        checks.append(check)
        if not as_json:
            click.echo(f"{'ok  ' if check.ok else 'WARN'}  {check.name}: {plain(check.message)}")
    if as_json:
        click.echo(json.dumps([{"name": c.name, "ok": c.ok, "told": c.message} for c in checks], indent=1))
    if not all(check.ok for check in checks):
        sys.exit(1)


def _checks() -> Iterator[Check]:
    try:
        settings = load_settings()
    except RemediationError as error:
        # Every further check needs the settings.
        yield Check("settings", ok=False, message=str(error))
        return
    mode = "mock mode, nothing is sent anywhere" if settings.mock_mode else f"live at {settings.api_origin}"
    yield Check("settings", ok=True, message=f"{mode}, API {settings.api_version}.")
    yield _home(settings)
    yield _disk(settings.data_dir)
    ledger = open_ledger(settings)
    yield from _ledger(ledger)
    try:
        playbooks = read_playbooks()
        yield Check("playbooks", ok=True, message=f"{len(playbooks)} are readable.")
    except RemediationError as error:
        yield Check("playbooks", ok=False, message=str(error))
    yield _findings(settings)
    if not settings.mock_mode:
        yield from asyncio.run(_devin(settings, ledger))


def _home(settings: Settings) -> Check:
    home = settings.home
    if not home.is_absolute():
        return Check(
            "Dagster home", ok=False, message=f"{home} is not absolute; set DAGSTER_HOME to {home.absolute()}."
        )
    if not home.exists():
        return Check("Dagster home", ok=True, message=f"{home} does not exist yet; the first run makes it.")
    if not home.is_dir():
        return Check("Dagster home", ok=False, message=f"{home} is not a folder; set DAGSTER_HOME to one.")
    if not os.access(home, os.W_OK):
        return Check(
            "Dagster home",
            ok=False,
            message=f"{home} is not writable; correct its permissions or set another DAGSTER_HOME.",
        )
    # A home that was never used is no problem: the first run copies the file into it.
    if not (home / "dagster.yaml").exists() and is_used(home):
        ours = CHECKOUT / "dagster_home" / "dagster.yaml"
        message = f"{home} has no dagster.yaml; copy {ours}, else Dagster sends telemetry and runs waves side by side."
        return Check("Dagster home", ok=False, message=message)
    return Check("Dagster home", ok=True, message=f"{home}.")


def _disk(folder: Path) -> Check:
    # The folder may not exist yet; its nearest parent that does is on the same disk.
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free / 1e9
    message = f"{free:.0f} GB are free at {existing}"
    if free < FREE_GB:
        return Check("disk", ok=False, message=f"{message}; make room, or set REMEDIATION_DATA_DIR.")
    return Check("disk", ok=True, message=f"{message}.")


def _ledger(ledger: Ledger) -> Iterator[Check]:
    if not ledger.path.exists():
        yield Check("ledger", ok=True, message=f"{ledger.path} does not exist yet; the first plan makes it.")
        return
    try:
        ledger.verify()
        with ledger.transaction() as tx:
            figures = totals(tx)
        size = ledger.path.stat().st_size / 1e6
        yield Check("ledger", ok=True, message=f"{ledger.path}, {size:.0f} MB, {figures.planned} findings planned.")
        for hold in figures.holds:
            yield Check("hold", ok=False, message=hold)
        if figures.unanswered:
            message = (
                f"{figures.unanswered} create requests have no answer yet; the next steps look for their sessions."
            )
            yield Check("creations", ok=True, message=message)
    except RemediationError as error:
        yield Check("ledger", ok=False, message=str(error))


def _findings(settings: Settings) -> Check:
    if not settings.findings_path:
        return Check("findings", ok=True, message="FINDINGS_PATH is not set; give a FILE to `plan` and `run`.")
    path = absolute(settings.findings_path)
    try:
        missing = [file for file in findings_files([path]) if not file.is_file()]
    except RemediationError as error:
        return Check("findings", ok=False, message=str(error))
    if missing:
        return Check("findings", ok=False, message=f"{missing[0]} does not exist; correct FINDINGS_PATH.")
    return Check("findings", ok=True, message=f"{path}.")


async def _devin(settings: Settings, ledger: Ledger) -> list[Check]:
    """Check with requests that cost nothing that the key works and may list sessions and playbooks."""
    found = []
    async with connect(settings) as devin:
        try:
            await devin.who_am_i()
            org_id = await devin.org_id()
            found.append(Check("key", ok=True, message=f"it is good, for the organisation {org_id or 'of the key'}."))
            # Without a ledger nothing can be found, but the request shows whether the key may list sessions.
            tag = ledger_tag(ledger.ledger_id) if ledger.path.exists() else ledger_tag("none")
            count = 0
            async for _ in devin.list_sessions(tags=[tag]):
                count += 1
            found.append(Check("sessions", ok=True, message=f"they can be listed; {count} are of this ledger."))
            known = [playbook async for playbook in devin.list_playbooks()]
            found.append(Check("playbooks at Devin", ok=True, message=f"they can be listed; there are {len(known)}."))
        except DevinError as error:
            # Each check that passed is in `found`, so its length names the one that failed.
            failed = ("key", "sessions", "playbooks at Devin")[len(found)]
            advice = "check DEVIN_API_KEY, DEVIN_ORG_ID and the key's rights"
            if isinstance(error, Unavailable):
                advice = "check the network and DEVIN_API_BASE_URL, and try again"
            found.append(Check(failed, ok=False, message=f"{str(error).rstrip('.')}; {advice}."))
    return found
