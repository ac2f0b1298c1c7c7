"""The assets that turn a scanner's files into ranked findings; none of them is partitioned."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from remediation_assets.clock import utc_now
from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.findings.intake.files import absolute
from remediation_assets.findings.intake.scan import ScanResult, last_request, scan_files
from remediation_assets.findings.intake.validate import Rules
from remediation_assets.findings.rank import normalize, prioritize
from remediation_assets.findings.source_context import ScanRequest
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.orchestration.metadata import (
    OWNERS,
    findings_metadata,
    normalized_findings_metadata,
    prioritized_findings_metadata,
)
from remediation_assets.orchestration.resources import GIVE_UP_TAG, Pipeline, as_dagster_failure
from remediation_assets.reports.scans import RowCounts, count_findings, count_rows
from remediation_assets.settings import CHECKOUT, Settings, dagster_home_is_set

KINDS = {"duckdb", "sql"}


class FindingsConfig(dg.Config, use_attribute_docstrings=True):
    """Which files to read."""

    path: str = ""
    """A findings file or a folder of them; by default FINDINGS_PATH, else what was read last, else the sample."""

    paths: list[str] = []  # noqa: RUF012 - Dagster's Config copies it, as Pydantic does
    """Several of them, read together."""

    repo_url: str = ""
    """The repository, for files that name none; FINDINGS_REPO_URL by default."""

    service: str = ""
    """The service, for files that name none; FINDINGS_SERVICE by default, else the repository's name."""

    root: str = ""
    """The repository's folder when it was scanned, for files with absolute paths; FINDINGS_ROOT by default."""

    services: str = ""
    """A TOML file that assigns services and repositories to paths; FINDINGS_SERVICES by default."""

    columns: str = ""
    """A TOML file that maps the columns of CSV files; FINDINGS_COLUMNS by default."""


@dg.asset(group_name="findings", kinds=KINDS, owners=OWNERS)
def findings(
    context: dg.AssetExecutionContext, config: FindingsConfig, pipeline: Pipeline
) -> dg.MaterializeResult[None]:
    """One row per accepted row of the scanners' files, as read. Rows that cannot be used are in `rejected_findings`."""
    with as_dagster_failure(), _tag_unusable_file(context):
        settings, ledger = pipeline.settings, pipeline.ledger
        _warn_without_home(context, settings)
        ledger.publish(force=True)
        scanned = scan_files(
            ledger,
            _scan_request(config, settings, ledger),
            Rules(settings.mock_mode, settings.repo_hosts),
            max_rejected_share=settings.max_rejected_share,
            now=utc_now(),
            run_id=context.run.run_id,
        )
        with ledger.transaction() as tx:
            rows = count_rows(tx, scanned.scan_ids)
            metadata = findings_metadata(tx, scanned, rows, count_findings(tx))
        _log_scan(context, scanned, rows)
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(group_name="findings", kinds=KINDS, owners=OWNERS, deps=[findings])
def normalized_findings(pipeline: Pipeline) -> dg.MaterializeResult[None]:
    """One row per finding: rows with the same `finding_key` are merged, the highest severity counts, order is kept."""
    with as_dagster_failure(), pipeline.ledger.transaction() as tx:
        counts = normalize(tx)
        return dg.MaterializeResult(metadata=normalized_findings_metadata(tx, counts))


@dg.asset(group_name="findings", kinds=KINDS, owners=OWNERS, deps=[normalized_findings])
def prioritized_findings(pipeline: Pipeline) -> dg.MaterializeResult[None]:
    """One row per finding with its `priority_score` (severity + category + service), ranked best first."""
    with as_dagster_failure():
        ledger = pipeline.ledger
        with ledger.transaction() as tx:
            count = prioritize(tx, pipeline.settings.service_weights)
            metadata = prioritized_findings_metadata(tx, count)
        ledger.publish(force=True)
    return dg.MaterializeResult(metadata=metadata)


def _log_scan(context: dg.AssetExecutionContext, scanned: ScanResult, rows: RowCounts) -> None:
    """Log what a person should know about the files; the metadata has the numbers."""
    if scanned.unchanged_scans:
        context.log.info(f"{len(scanned.unchanged_scans)} of the files were read before and have not changed.")
    for scan in scanned.new_scans:
        if scan.encoding_guessed:
            context.log.warning(
                f"{scan.source} is not UTF-8 and was read as Windows-1252; save it as UTF-8 to be sure."
            )
    if rows.rejected:
        context.log.warning(f"{rows.rejected} of {rows.rows_in} rows were rejected; see rejected_findings.")
    for scan in scanned.new_scans:
        for note in scan.notes:
            context.log.warning(f"{scan.source}: {note}.")


@contextmanager
def _tag_unusable_file(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Tag a run that fails because of its file, so that no sensor launches it again: it would only fail again."""
    try:
        yield
    except FindingsFileError:
        context.instance.add_run_tags(context.run.run_id, {GIVE_UP_TAG: "the findings file cannot be used"})
        raise


def _scan_request(config: FindingsConfig, settings: Settings, ledger: Ledger) -> ScanRequest:
    """Return what to scan: the configured files, else the files scanned last, else, in mock mode only, the sample."""
    paths = config.paths or [path for path in (config.path or settings.findings_path,) if path]
    if not paths:
        with ledger.transaction() as tx:
            last = last_request(tx)
        if last:
            return last
        if not settings.mock_mode:
            raise FindingsFileError("No findings file is named; set FINDINGS_PATH, or run `remediate run FILE`.")
        # The sample names repositories that do not exist, so only the simulator gets it.
        paths = [str(CHECKOUT / "sample_data" / "findings.csv")]
    services, columns = config.services or settings.findings_services, config.columns or settings.findings_columns
    return ScanRequest(
        paths=tuple(map(absolute, paths)),
        repo_url=config.repo_url or settings.findings_repo_url,
        service=config.service or settings.findings_service,
        root=config.root or settings.findings_root,
        services=str(absolute(services)) if services else "",
        columns=str(absolute(columns)) if columns else "",
    )


def _warn_without_home(context: dg.AssetExecutionContext, settings: Settings) -> None:
    if not dagster_home_is_set():
        context.log.warning(
            "DAGSTER_HOME is not set: this run's record and the wave partitions are lost when it ends; "
            f"the ledger stays in {os.fspath(settings.data_dir)}."
        )
