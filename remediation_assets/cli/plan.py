"""`remediate plan`: read a file, rank its findings, cut them into waves, and show what is in them."""

import json
import secrets
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from remediation_assets.devin.client import creation_body
from remediation_assets.findings.intake.files import absolute
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.planning.output_schema import REMEDIATION_OUTPUT_SCHEMA
from remediation_assets.planning.playbooks import read_playbooks
from remediation_assets.planning.waves import current_choice
from remediation_assets.reports.next_request import next_request
from remediation_assets.reports.plan import next_waves, planned_rows
from remediation_assets.reports.waves import wave_states
from remediation_assets.sessions.policy import Policy
from remediation_assets.sessions.steps.session_request import RequestContext
from remediation_assets.settings import Settings
from remediation_assets.wording import counted

from .dagster_runs import run_job
from .options import (
    ExampleCommand,
    choice_config,
    choice_options,
    existing_files,
    prepare,
    source_config,
    source_options,
    with_last_options,
)
from .output import must_succeed, report_errors, say, show_planned, show_waves, waiting

SHOWN_FINDINGS = 60
"""Findings of the next waves that are listed on a screen."""


@click.command(
    cls=ExampleCommand,
    example="remediate plan findings.csv\nremediate plan findings.csv --severity critical\n"
    "remediate plan findings.csv --show FIND-0003",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--wave-size", type=click.IntRange(min=1), help="Findings per wave; WAVE_SIZE by default.")
@click.option("--show", metavar="FINDING", help="Show what would be sent for this finding, by its id or its key.")
@click.option("--json", "as_json", is_flag=True, help="Print every wave with all its findings as JSON.")
@choice_options
@click.option("--all", "everything", is_flag=True, help="End a choice: plan all findings by their rank alone.")
@source_options
@report_errors
def plan(
    file: Path,
    wave_size: int | None,
    show: str | None,
    as_json: bool,
    chosen_services: tuple[str, ...],
    categories: tuple[str, ...],
    severities: tuple[str, ...],
    everything: bool,
    **source: str,
) -> None:
    """Read FILE, rank its findings, cut them into waves and show what is in the next ones. Starts nothing."""
    settings, ledger = prepare()
    choice = choice_config(chosen_services, categories, severities, everything=everything)
    make_plan(settings, ledger, PlanOptions(file, wave_size, choice, source))
    # The same waves as are shown here, and not those of the usual size.
    size = f" --wave-size {wave_size}" if wave_size else ""
    if as_json:
        _print_as_json(ledger)
    elif show is None:
        show_waves(ledger)
        show_next_findings(settings, ledger)
        say(f"`remediate run FILE{size} --dry-run` shows what a run would start, and what it costs at most.", settings)
    else:
        _show_next_request(settings, ledger, show)


@dataclass(frozen=True)
class PlanOptions:
    """What a command wants planned."""

    file: Path
    wave_size: int | None
    choice: Mapping[str, Any]
    source: Mapping[str, str]


def make_plan(settings: Settings, ledger: Ledger, options: PlanOptions) -> None:
    """Read a file and plan its findings by a Dagster run; raise Misused before it if something does not exist."""
    files = existing_files([options.file])
    source = with_last_options(ledger, settings, files, options.source)
    config: dict[str, dict[str, Any]] = {"findings": {"path": str(absolute(options.file)), **source_config(source)}}
    waves = dict(options.choice) | ({"wave_size": options.wave_size} if options.wave_size else {})
    if waves:
        config["waves"] = waves
    with waiting("Reading, ranking and planning findings"):
        finished = run_job("plan_waves", config=config)
    must_succeed(finished)


def show_next_findings(settings: Settings, ledger: Ledger) -> None:
    """Print the findings of the next waves that nobody has started, and the choice that the plan follows."""
    with ledger.published() as connection:
        following = next_waves(connection)
        rows = planned_rows(connection, following.waves)
        choice = current_choice(connection)
    if choice:
        say(f"Chosen first: {choice.words}; `remediate plan FILE --all` ends the choice.", settings)
    if not rows:
        return
    click.echo(f"\nNext, nothing of it has been started ({counted(len(rows), 'finding')}):")
    show_planned(rows[:SHOWN_FINDINGS])
    later = following.later_findings + max(0, len(rows) - SHOWN_FINDINGS)
    if later:
        say(
            f"{counted(later, 'more finding follows', 'more findings follow')}; `remediate waves 2` lists one wave, "
            "`remediate plan FILE --json` all.",
            settings,
        )


def _print_as_json(ledger: Ledger) -> None:
    with ledger.published() as connection:
        planned: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in planned_rows(connection):
            planned[row.wave].append(asdict(row))
        waves = [asdict(state) | {"planned": planned[state.wave]} for state in wave_states(connection)]
    click.echo(json.dumps(waves))


def _show_next_request(settings: Settings, ledger: Ledger, finding: str) -> None:
    ledger_id = ledger.ledger_id
    with ledger.transaction() as tx:
        context = RequestContext(ledger_id, Policy.of(settings), secrets.token_hex)
        sent = next_request(tx, finding, read_playbooks(), context)
    ledger.publish(force=True)
    body = creation_body(settings.api_version, **sent.request, structured_output_schema=REMEDIATION_OUTPUT_SCHEMA)
    prompt = body.pop("prompt")
    # Playbooks are uploaded with the first dispatch that needs them, so the id may not be known yet.
    body.setdefault("playbook_id", f"(known once {sent.playbook.title!r} is uploaded)")
    click.echo(f"# Request, sent {sent.when}; each attempt gets a new delimiter in its prompt\n")
    click.echo(json.dumps(body, indent=2, ensure_ascii=False))
    click.echo(f"\n# Prompt ({len(prompt)} characters)\n\n{prompt}")
    click.echo(f"# Playbook: {sent.playbook.title}\n\n{sent.playbook.body}", nl=False)
