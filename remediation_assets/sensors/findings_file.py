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
        last_scan, last_content = _last_scan(ledger, path)
        if last_content == content:
            return dg.SkipReason(f"{path} has not changed since it was read.")
        cause = f"{ledger.ledger_id}-{content}-after-scan-{last_scan}"
    except OSError as error:
        return dg.SkipReason(f"{settings.findings_path} cannot be read ({error.strerror}).")
    except RemediationError as error:
        return dg.SkipReason(str(error))
    config = dg.RunConfig(ops={"findings": {"config": {"path": str(path)}}})
    # What is wrong with a file is wrong at the second try as well.
    request = request_once(context, plan_waves.name, cause, config=config, tries=1)
    return dg.SensorResult(run_requests=[request] if request else [], cursor=seen)


def _last_scan(ledger: Ledger, source: Path) -> tuple[int, str]:
    """Load the number of the last scan of all, and the content hash of the last one of this file."""
    with ledger.transaction() as tx:
        [(last, content)] = tx.execute(
            "SELECT coalesce(max(scan_id), 0), arg_max(content_hash, scan_id) FILTER (source = ?) FROM scans",
            [str(source)],
        ).fetchall()
    return last, content or ""
