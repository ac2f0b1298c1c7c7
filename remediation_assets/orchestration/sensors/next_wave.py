"""The sensor that starts the next wave. Off until a person turns it on, because it spends money."""

import dagster as dg

from remediation_assets.errors import RemediationError
from remediation_assets.orchestration.jobs import dispatch_wave
from remediation_assets.orchestration.resources import Pipeline
from remediation_assets.sessions.steps.next_wave import next_wave

from .intervals import poll_interval_seconds
from .run_requests import request_once


@dg.sensor(
    job=dispatch_wave,
    minimum_interval_seconds=poll_interval_seconds(),
    default_status=dg.DefaultSensorStatus.STOPPED,
)
def next_wave_sensor(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SensorResult | dg.SkipReason:
    """Dispatch the next wave once the one before it has passed its gate and is collected. Spends money; off by default.

    A person starts the first wave.
    """
    try:
        ledger = pipeline.ledger
        if not ledger.path.exists():
            return dg.SkipReason("Nothing is planned yet.")
        with ledger.transaction() as tx:
            decided = next_wave(tx)
    except RemediationError as error:
        return dg.SkipReason(str(error))
    if decided.wave is None:
        return dg.SkipReason(decided.reason)
    # `after` names the round and the plan: another round, or a plan that was made again, is another cause.
    cause = f"{ledger.ledger_id}-{decided.wave}-after-{decided.after}"
    request = request_once(context, dispatch_wave.name, cause, wave=decided.wave)
    return dg.SkipReason(request) if isinstance(request, str) else dg.SensorResult(run_requests=[request])
