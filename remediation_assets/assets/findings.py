"""The assets from a scanner's file to ranked findings; none of them is partitioned."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.findings.ingesting import STAGING, ingest
from remediation_assets.findings.ranking import normalize, prioritize
from remediation_assets.findings.reading import stage
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.resources import GIVE_UP_TAG, Pipeline, told_to_people
from remediation_assets.sessions.advance import utc_now
from remediation_assets.settings import CHECKOUT, Settings, dagster_home_is_set

from .previews import OWNERS, preview, published_table

KINDS = {"duckdb", "sql"}


class FindingsConfig(dg.Config):
    """Which file to read."""

    path: str = ""
    """The findings file; by default FINDINGS_PATH, else the file read last, else the sample in mock mode."""


@dg.asset(group_name="findings", kinds=KINDS, owners=OWNERS)
def findings(
    context: dg.AssetExecutionContext, config: FindingsConfig, pipeline: Pipeline
) -> dg.MaterializeResult[None]:
    """One row per accepted row of the scanners' files, as read. Bad rows are set aside in `rejected_findings`."""
    with told_to_people(), _given_up(context):
        settings = pipeline.settings()
        ledger = pipeline.ledger(settings)
        _warn_without_home(context, settings)
        ledger.publish(force=True)
        source = _source(config.path, settings, ledger)
        with ledger.staging() as staging:
            scan = stage(
                source,
                staging,
                allow_reserved_hosts=settings.mock_mode,
                allowed_hosts=settings.allowed_repo_hosts,
            )
            with ledger.transaction(attach={STAGING: scan.path}) as tx:
                scan_id = ingest(tx, scan, max_rejected_share=settings.max_rejected_share, now=utc_now())
                total = tx.execute("SELECT count(*) FROM findings").fetchone()
                shown = preview(
                    tx, "SELECT finding_id, severity, category, service_name, title, file_path FROM findings"
                )
                rejected = preview(
                    tx,
                    "FROM rejected_findings SELECT line_number, finding_id, reason WHERE scan_id = ? ORDER BY ALL",
                    [scan_id],
                )
                table = published_table(tx, "findings")
        if scan.set_aside:
            context.log.warning(f"{scan.set_aside} of {scan.rows_in} rows were set aside; see rejected_findings.")
    return dg.MaterializeResult(
        metadata={
            **table,
            "dagster/row_count": total[0] if total else 0,
            "source": dg.MetadataValue.path(scan.source),
            "rows in file": scan.rows_in,
            "accepted": scan.accepted,
            "set aside": scan.set_aside,
            "ignored columns": ", ".join(scan.ignored_columns) or "none",
            "preview": shown,
            "rejected": rejected,
        }
    )


@dg.asset(group_name="findings", kinds=KINDS, owners=OWNERS, deps=[findings])
def normalized_findings(pipeline: Pipeline) -> dg.MaterializeResult[None]:
    """One row per finding: rows with one `finding_key` merged, the highest severity stands, order kept."""
    with told_to_people():
        ledger = pipeline.ledger(pipeline.settings())
        with ledger.transaction() as tx:
            counts = normalize(tx)
            shown = preview(
                tx,
                """
                SELECT finding_key, finding_id, severity, category, service_name, title
                FROM normalized_findings ORDER BY position
                """,
            )
            table = published_table(tx, "normalized_findings")
    return dg.MaterializeResult(
        metadata={
            **table,
            "dagster/row_count": counts.kept,
            "accepted": counts.accepted,
            "kept": counts.kept,
            "merged": counts.merged,
            "preview": shown,
        }
    )


@dg.asset(group_name="findings", kinds=KINDS, owners=OWNERS, deps=[normalized_findings])
def prioritized_findings(pipeline: Pipeline) -> dg.MaterializeResult[None]:
    """One row per finding with its `priority_score` (severity + category + service), ranked best first."""
    with told_to_people():
        settings = pipeline.settings()
        ledger = pipeline.ledger(settings)
        with ledger.transaction() as tx:
            count = prioritize(tx, settings.service_weights)
            shown = preview(
                tx,
                """
                SELECT priority_rank, priority_score, finding_id, severity, category, service_name, title
                FROM prioritized_findings ORDER BY priority_rank
                """,
            )
            table = published_table(tx, "prioritized_findings")
        ledger.publish(force=True)
    return dg.MaterializeResult(metadata={**table, "dagster/row_count": count, "preview": shown})


@contextmanager
def _given_up(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Mark a run that fails for what is in the file, which is no better the next time; no sensor launches it again."""
    try:
        yield
    except FindingsFileError:
        context.instance.add_run_tags(context.run.run_id, {GIVE_UP_TAG: "the findings file cannot be used"})
        raise


def _source(path: str, settings: Settings, ledger: Ledger) -> Path:
    if not path:
        path = settings.findings_path
    if not path:
        with ledger.transaction() as tx:
            row = tx.execute("SELECT current_source FROM state").fetchone()
        path = (row[0] if row else None) or ""
    if not path and settings.mock_mode:
        path = str(CHECKOUT / "sample_data" / "findings.csv")
    if not path:
        raise FindingsFileError("No findings file is named; set FINDINGS_PATH, or run `remediate run FILE`.")
    return Path(os.path.expanduser(path)).absolute()


def _warn_without_home(context: dg.AssetExecutionContext, settings: Settings) -> None:
    if not dagster_home_is_set():
        context.log.warning(
            "DAGSTER_HOME is not set: this run's record and the wave partitions are gone when it ends; "
            f"the ledger stays in {os.fspath(settings.data_dir)}."
        )
