"""The sensor that plans again when the findings files have changed. Off until a person turns it on."""

import hashlib
import json

import dagster as dg

from remediation_assets.errors import RemediationError
from remediation_assets.findings.intake.files import absolute, findings_files
from remediation_assets.findings.intake.stage import hash_of
from remediation_assets.orchestration.jobs import plan_waves
from remediation_assets.orchestration.resources import Pipeline
from remediation_assets.reports.scans import planned_contents

from .run_requests import request_once

INTERVAL_SECONDS = 30


@dg.sensor(job=plan_waves, minimum_interval_seconds=INTERVAL_SECONDS, default_status=dg.DefaultSensorStatus.STOPPED)
def findings_file_sensor(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SensorResult | dg.SkipReason:
    """Read FINDINGS_PATH and plan again when its content has changed, once for each content. Spends nothing.

    A file that is still being written waits until two ticks have seen it the same.
    """
    try:
        settings = pipeline.settings
        if not settings.findings_path:
            return dg.SkipReason("FINDINGS_PATH is not set; it names the file to watch.")
        path = absolute(settings.findings_path)
        files = findings_files([path])
        stats = {str(file): file.stat() for file in files}
        # Time and size are read at each tick, the content only when they have been the same twice.
        seen = json.dumps({name: [stat.st_mtime_ns, stat.st_size] for name, stat in stats.items()})
        if context.cursor != seen:
            context.update_cursor(seen)
            return dg.SkipReason(f"{path} is new or has changed; it is read if the next tick sees it the same.")
        contents, ledger = {str(file): hash_of(file) for file in files}, pipeline.ledger
        with ledger.transaction() as tx:
            planned = planned_contents(tx)
        content = hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()[:32]
    except OSError as error:
        return dg.SkipReason(f"{settings.findings_path} cannot be read ({error.strerror}).")
    except RemediationError as error:
        return dg.SkipReason(str(error))
    # More files may have been read together with these.
    if planned.contents.items() >= contents.items():
        return dg.SkipReason(f"{path} has not changed since it was planned.")
    request = request_once(
        context,
        plan_waves.name,
        f"{ledger.ledger_id}-{content}-after-scan-{planned.scan_id}",
        config=dg.RunConfig(ops={"findings": {"config": {"path": str(path)}}}),
    )
    return dg.SkipReason(request) if isinstance(request, str) else dg.SensorResult(run_requests=[request])
