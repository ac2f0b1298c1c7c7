"""`remediate ingest` and `columns`: read scanners' files into the ledger and report what became of their rows."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from remediation_assets.errors import RemediationError
from remediation_assets.escape import plain
from remediation_assets.findings.intake.files import absolute
from remediation_assets.findings.intake.propose_columns import proposed_mapping
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.reports.plan import mix_of_findings
from remediation_assets.reports.scans import Rejection, ScannedFile, scan_report, scan_rows
from remediation_assets.wording import counted

from .dagster_runs import run_job
from .options import (
    ExampleCommand,
    existing_files,
    prepare,
    source_config,
    source_options,
    with_last_options,
)
from .output import must_succeed, report_errors, waiting


@click.command(
    cls=ExampleCommand,
    example="remediate ingest codeql.sarif trivy.json --repo-url https://github.com/acme/shop",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print what became of each file as JSON.")
@source_options
@report_errors
def ingest(files: tuple[Path, ...], as_json: bool, **source: str) -> None:
    """Read FILEs, or folders of them, into the ledger together and rank their findings; report what was rejected.

    A FILE is what a scanner writes, recognised by its content: SARIF, Semgrep, Trivy, Snyk or OSV-Scanner JSON,
    GitHub's alerts, or CSV.
    """
    settings, ledger = prepare()
    found = existing_files(files)
    source = with_last_options(ledger, settings, found, source)
    # Not `waves`: the plan stays as it is until somebody plans again.
    names = ["findings", "normalized_findings", "prioritized_findings"]
    paths = [str(absolute(file)) for file in files]
    config = {"findings": {"paths": paths, **source_config(source)}}
    with waiting("Reading, merging and ranking findings"):
        finished = run_job("plan_waves", config=config, assets=names)
    must_succeed(finished)
    if as_json:
        _report_as_json(ledger, finished.run_id)
    else:
        _report_scans(ledger, finished.run_id)


def _report_as_json(ledger: Ledger, run_id: str) -> None:
    # From the ledger itself: publishing may have been put off, as while another program has the file open.
    with ledger.transaction() as tx:
        scans, report = scan_rows(tx, run_id), scan_report(tx, run_id)
    for scan in scans:
        # The keys are an interface of scripts, and older than the names of the columns.
        scan["set_aside"], scan["gone_findings"] = scan.pop("rejected"), scan.pop("closed_findings")
        scan["left_out"] = json.loads(scan.pop("skipped") or "{}")
        scan["notes"] = json.loads(scan["notes"] or "[]")
    changes = {"new": report.new, "unchanged": report.unchanged, "gone": report.closed}
    click.echo(json.dumps({"scans": scans, **changes}, default=str))


def _report_scans(ledger: Ledger, run_id: str) -> None:
    """Print the counts and rejections of each file, then how the findings have changed in all."""
    with ledger.transaction() as tx:
        report = scan_report(tx, run_id)
    for file in report.files:
        _report_file(file, [rejection for rejection in report.rejections if rejection.scan_id == file.scan_id])
    new_files = [file for file in report.files if file.is_new]
    for file in new_files:
        for note in file.notes:
            click.echo(plain(f"{file.source}: {note}."))
    for file in new_files:
        if file.encoding_guessed:
            click.echo(f"{plain(file.source)} is not UTF-8 and was read as Windows-1252; save it as UTF-8 to be sure.")
    if before := len(report.files) - len(new_files):
        click.echo(f"{counted(before, 'file')} had been read before as they are.")
    new = counted(report.new, "finding is", "findings are")
    click.echo(f"{new} new, {report.unchanged} unchanged, {report.closed} closed.")
    known = counted(report.findings, "finding is", "findings are")
    click.echo(f"{known} known, {counted(report.duplicates, 'further row')} merged into them.")
    _report_mix(ledger)
    if report.presence:
        seen = ", ".join(f"{one.findings} {one.presence}" for one in report.presence)
        click.echo(f"Of the findings fixed before, this has been seen since: {seen}; see fixed_findings.")


def _report_mix(ledger: Ledger) -> None:
    """Print how the findings are spread by severity and category, and which are ranked best."""
    with ledger.transaction() as tx:
        mix = mix_of_findings(tx)
    if not mix.best:
        return
    click.echo("By severity: " + ", ".join(f"{severity} {count}" for severity, count in mix.by_severity) + ".")
    click.echo("By category: " + ", ".join(f"{category} {count}" for category, count in mix.by_category) + ".")
    click.echo("Ranked best:")
    for finding_id, score, severity, service, title in mix.best:
        click.echo(plain(f"  {score:g}  {finding_id}  {severity}, {service}: {title[:100]}"))


def _report_file(file: ScannedFile, rejections: Sequence[Rejection]) -> None:
    counts = f"{counted(file.rows_in, 'row')} read: {file.accepted} accepted, {file.rejected} rejected"
    click.echo(f"{plain(file.source)}: {counts}. {plain(file.format)}.")
    for rejection in rejections:
        lines = list(rejection.lines or ())
        where = f", line {', '.join(map(str, lines))}" if lines else ""
        more = ", ..." if where and rejection.rows > len(lines) else ""
        shown = f" ({plain(rejection.finding_id)})" if rejection.rows == 1 and rejection.finding_id else ""
        click.echo(f"  {plain(rejection.reason)}: {rejection.rows}{where}{more}{shown}")
    for reason, count in sorted(file.skipped.items()):
        click.echo(f"  skipped, {plain(reason)}: {count}")


@click.command(cls=ExampleCommand, example="remediate columns export.csv --save columns.toml")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--save", type=click.Path(path_type=Path), metavar="FILE", help="Write it to this file, which must not exist."
)
@report_errors
def columns(file: Path, save: Path | None) -> None:
    """Propose which columns of a CSV FILE fill which fields of a finding, for `--columns` of ingest, plan and run."""
    existing_files([file])
    mapping = proposed_mapping(absolute(file))
    if save is None:
        for line in mapping.splitlines():
            click.echo(plain(line))
        return
    try:
        # Mode x, because a mapping that somebody has corrected must not be overwritten.
        with save.open("x", encoding="utf-8") as target:
            target.write(mapping)
    except OSError as error:
        raise RemediationError(f"{save} cannot be written ({error.strerror}); name another file.") from None
    click.echo(f"{save} is written; correct it, then run: remediate ingest {file} --columns {save}")
