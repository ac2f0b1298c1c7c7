"""The sensor that plans anew when the findings file has changed. Off until a person turns it on."""

import json
import os
from pathlib import Path

import dagster as dg

from remediation_assets.errors import RemediationError
from remediation_assets.findings.reading import hash_of
from remediation_assets.jobs import plan_waves
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.resources import Pipeline

from .requests import request_once

INTERVAL_SECONDS = 30


@dg.sensor(job=plan_waves, minimum_interval_seconds=INTERVAL_SECONDS, default_status=dg.DefaultSensorStatus.STOPPED)
def findings_file_sensor(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SensorResult | dg.SkipReason:
    """Read FINDINGS_PATH and plan anew when its content has changed, once for each content. Spends nothing.

    A file that is still being written is left until two ticks have seen it the same.
    """
    try:
        settings = pipeline.settings()
        if not settings.findings_path:
            return dg.SkipReason("FINDINGS_PATH is not set; it names the file to watch.")
        path = Path(os.path.expanduser(settings.findings_path)).absolute()
        stat = path.stat()
        seen = json.dumps([str(path), stat.st_mtime_ns, stat.st_size])
        if context.cursor != seen:
            context.update_cursor(seen)
            return dg.SkipReason(f"{path} is new or has changed; it is read if the next tick sees it the same.")
        content, ledger = hash_of(path), pipeline.ledger(settings)
        last_scan, planned = _scans(ledger, path, content)
    except OSError as error:
        return dg.SkipReason(f"{settings.findings_path} cannot be read ({error.strerror}).")
    except RemediationError as error:
        return dg.SkipReason(str(error))
    if planned:
        return dg.SkipReason(f"{path} has not changed since it was planned.")
    request = request_once(
        context,
        plan_waves.name,
        f"{ledger.ledger_id}-{content}-after-scan-{last_scan}",
        config=dg.RunConfig(ops={"findings": {"config": {"path": str(path)}}}),
    )
    return dg.SkipReason(request) if isinstance(request, str) else dg.SensorResult(run_requests=[request])


def _scans(ledger: Ledger, source: Path, content: str) -> tuple[int, bool]:
    """Load the newest scan that waves were cut with, and whether a scan of this file with this content is among them.

    Only the last scan of the file counts: a content that comes back is a change as well.
    """
    with ledger.transaction() as tx:
        [(planned_scan, last_of_file, last_content)] = tx.execute(
            """
            SELECT (SELECT coalesce(planned_scan_id, 0) FROM state),
                max(scan_id) FILTER (source = $source), arg_max(content_hash, scan_id) FILTER (source = $source)
            FROM scans
            """,
            {"source": str(source)},
        ).fetchall()
    return planned_scan, last_content == content and last_of_file <= planned_scan
