"""`remediate ingest` and `columns`: scanners' files into the ledger, and what became of their rows."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from remediation_assets.errors import RemediationError
from remediation_assets.escape import plain
from remediation_assets.findings.intake.files import absolute
from remediation_assets.findings.intake.propose_mapping import proposed_mapping
from remediation_assets.ledger.ledger import Ledger

from .dagster_runs import (
    run_job,
)
from .output import ExampleCommand, must_succeed, origin_config, origin_options, prepare, told_to_people, waiting


@click.command(
    cls=ExampleCommand,
    example="remediate ingest codeql.sarif trivy.json --repo-url https://github.com/acme/shop",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Give what became of each file as JSON.")
@origin_options
@told_to_people
def ingest(files: tuple[Path, ...], as_json: bool, **origin: str) -> None:
    """Read FILEs, or folders of them, into the ledger together and rank their findings; say what was set aside.

    A FILE is what a scanner writes, recognised by its content: SARIF, Semgrep, Trivy, Snyk or OSV-Scanner JSON,
    GitHub's alerts, or CSV.
    """
    ledger = prepare()[1]
    names = ["findings", "normalized_findings", "prioritized_findings"]
    paths = [str(absolute(file)) for file in files]
    config = {"findings": {"paths": paths, **origin_config(origin)}}
    with waiting("Reading, merging and ranking findings"):
        finished = run_job("plan_waves", config=config, assets=names)
    must_succeed(finished)
    told = finished.metadata["findings"]
    if as_json:
        _report_as_json(ledger, told)
    else:
        _report_scans(ledger, told)


def _report_as_json(ledger: Ledger, told: Mapping[str, Any]) -> None:
    scan_ids = [int(one) for one in str(told["scans"]).split()]
    with ledger.published() as connection:
        cursor = connection.execute("SELECT * FROM scans WHERE list_contains(?, scan_id) ORDER BY scan_id", [scan_ids])
        names = [column[0] for column in cursor.description or ()]
        scans = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for scan in scans:
        scan["skipped"] = json.loads(scan["skipped"] or "{}")
    changes = {name: told[name] for name in ("new", "unchanged", "gone")}
    click.echo(json.dumps({"scans": scans, **changes}, default=str))


def _report_scans(ledger: Ledger, told: Mapping[str, Any]) -> None:
    """Say of each file what was read, then what changed in all, then what was set aside and why."""
    scan_ids = [int(one) for one in str(told["scans"]).split()]
    with ledger.published() as connection:
        scans = connection.execute(
            """
            SELECT scan_id, source, format, rows_in, accepted, rejected, skipped FROM scans
            WHERE list_contains(?, scan_id) ORDER BY scan_id
            """,
            [scan_ids],
        ).fetchall()
        reasons = connection.execute(
            """
            SELECT scan_id, reason, count(*),
                (list(line_number ORDER BY line_number) FILTER (line_number IS NOT NULL))[:5], any_value(finding_id)
            FROM rejected_findings WHERE list_contains(?, scan_id)
            GROUP BY scan_id, reason ORDER BY count(*) DESC, reason
            """,
            [scan_ids],
        ).fetchall()
        total, duplicates = connection.execute(
            "SELECT (SELECT count(*) FROM prioritized_findings), (SELECT count(*) FROM duplicate_findings)"
        ).fetchone() or (0, 0)
        presence = connection.execute(
            """
            SELECT replace(presence, '_', ' '), count(*) FROM fixed_findings
            WHERE presence != 'not seen since' GROUP BY ALL ORDER BY ALL
            """
        ).fetchall()
    for scan_id, source, kind, rows_in, accepted, set_aside, left_out in scans:
        click.echo(f"{plain(source)}: {rows_in} rows read: {accepted} accepted, {set_aside} set aside. {plain(kind)}.")
        for of_scan, reason, count, lines, example in reasons:
            if of_scan == scan_id:
                where = f", line {', '.join(map(str, lines))}" if lines else ""
                more = ", ..." if where and count > len(lines) else ""
                shown = f" ({plain(example)})" if count == 1 and example else ""
                click.echo(f"  {plain(reason)}: {count}{where}{more}{shown}")
        for reason, count in sorted(json.loads(left_out or "{}").items()):
            click.echo(f"  left out, {plain(reason)}: {count}")
    if told["notes"] != "none":
        click.echo(plain(told["notes"]))
    if told["read as Windows-1252"] != "none":
        for source in str(told["read as Windows-1252"]).splitlines():
            click.echo(f"{plain(source)} is not UTF-8 and was read as Windows-1252; save it as UTF-8 to be sure.")
    if told["read before"]:
        click.echo(f"{told['read before']} of the files had been read before as they are.")
    click.echo(f"{told['new']} findings are new, {told['unchanged']} unchanged, {told['gone']} gone.")
    click.echo(f"{total} findings are known, {duplicates} further rows merged into them.")
    if presence:
        told_of = ", ".join(f"{count} {words}" for words, count in presence)
        click.echo(f"Of the findings fixed before, this has been seen since: {told_of}; see fixed_findings.")


@click.command(cls=ExampleCommand, example="remediate columns export.csv --save columns.toml")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--save", type=click.Path(path_type=Path), metavar="FILE", help="Write it there; nothing is overwritten.")
@told_to_people
def columns(file: Path, save: Path | None) -> None:
    """Propose how the columns of a CSV FILE fill the fields of a finding, for `--columns` of ingest, plan and run."""
    written = proposed_mapping(absolute(file))
    if save is None:
        for line in written.splitlines():
            click.echo(plain(line))
        return
    try:
        with save.open("x", encoding="utf-8") as target:
            target.write(written)
    except OSError as error:
        raise RemediationError(f"{save} cannot be written ({error.strerror}); name another file.") from None
    click.echo(f"{save} is written; correct it, then: remediate ingest {file} --columns {save}")
