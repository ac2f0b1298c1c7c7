"""The sensor that plans anew when the findings files have changed. Off until a person turns it on."""

import hashlib
import json
from collections.abc import Mapping

import dagster as dg

from remediation_assets.errors import RemediationError
from remediation_assets.findings.files import absolute, findings_files
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
        path = absolute(settings.findings_path)
        files = findings_files([path])
        stats = {str(file): file.stat() for file in files}
        seen = json.dumps({name: [stat.st_mtime_ns, stat.st_size] for name, stat in stats.items()})
        if context.cursor != seen:
            context.update_cursor(seen)
            return dg.SkipReason(f"{path} is new or has changed; it is read if the next tick sees it the same.")
        contents, ledger = {str(file): hash_of(file) for file in files}, pipeline.ledger(settings)
        last_scan, planned = _scans(ledger, contents)
        content = hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()[:32]
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


def _scans(ledger: Ledger, contents: Mapping[str, str]) -> tuple[int, bool]:
    """Load the newest scan that waves were cut with, and whether the files as they are were all read before it.

    Only the last scan of a file counts: a content that comes back is a change as well.
    """
    with ledger.transaction() as tx:
        [(planned_scan,)] = tx.execute("SELECT coalesce(planned_scan_id, 0) FROM state").fetchall()
        last = tx.execute(
            "SELECT source, arg_max(content_hash, scan_id) FROM scans WHERE scan_id <= ? GROUP BY source",
            [planned_scan],
        ).fetchall()
    return planned_scan, dict(last).items() >= contents.items()
