"""The sensor that follows sessions while no run waits for them."""

import asyncio

import dagster as dg

from remediation_assets.connect import open_ledger
from remediation_assets.errors import RemediationError
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.orchestration.jobs import collect_wave, dispatch_wave
from remediation_assets.orchestration.resources import Pipeline
from remediation_assets.orchestration.run_liveness import UNFINISHED, report_dead_runs
from remediation_assets.sessions.reconcile import Step, advance
from remediation_assets.sessions.steps.cancel import count_unterminated
from remediation_assets.sessions.steps.refresh_pull_requests import refresh_pull_requests
from remediation_assets.sessions.store.rounds import Uncollected, open_rounds, uncollected

from .intervals import poll_interval_seconds
from .run_requests import request_once

TICK_SECONDS = 50.0
"""A tick must end within Dagster's deadline of 60 seconds; no create request is sent that could outlast it."""

TICK_LOCK_SECONDS = 10.0
"""How long a tick waits for the ledger's lock at most, for the same reason."""


@dg.sensor(
    job=collect_wave,
    minimum_interval_seconds=poll_interval_seconds(),
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def devin_session_sensor(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SensorResult | dg.SkipReason:
    """Poll Devin, fill free slots, retry and settle, then collect what has settled. Opens no wave by itself."""
    try:
        settings = pipeline.settings
        patience = min(TICK_LOCK_SECONDS, settings.ledger_lock_timeout_seconds)
        ledger = open_ledger(settings.model_copy(update={"ledger_lock_timeout_seconds": patience}))
        # First, because a dead run that seems to wait for a wave would keep it from being collected below.
        for message in report_dead_runs(context.instance, ledger.data_dir):
            context.log.warning(message)
        if not ledger.path.exists():
            return dg.SkipReason("Nothing is planned yet.")
        progress = _advance(context, pipeline, ledger) or _idle(context, pipeline, ledger)
        with ledger.transaction() as tx:
            # Whatever came of the step: a round that settled earlier is collected even if Devin cannot be reached.
            settled = uncollected(tx)
    except RemediationError as error:
        return dg.SkipReason(str(error))
    collections = [_collection(context, ledger, settled_round) for settled_round in settled]
    requests = [collection for collection in collections if isinstance(collection, dg.RunRequest)]
    if requests:
        return dg.SensorResult(run_requests=requests)
    return dg.SkipReason("; ".join([progress, *(reason for reason in collections if isinstance(reason, str))]))


def _advance(context: dg.SensorEvaluationContext, pipeline: Pipeline, ledger: Ledger) -> str:
    """Take a step if something is under way; return what the sensor waits for, empty if nothing is under way."""
    with ledger.transaction() as tx:
        if not open_rounds(tx) and not count_unterminated(tx):
            return ""
    try:
        step = asyncio.run(_step(pipeline, ledger))
    except (RemediationError, TimeoutError) as error:
        reason = str(error) or f"Devin did not answer within {TICK_SECONDS:g} seconds; the next tick tries again."
        context.log.warning(reason)
        return reason
    for message in step.messages:
        context.log.info(message)
    holds = "; ".join(hold.sentence for hold in step.holds)
    return step.busy or holds or "Sessions are under way."


def _idle(context: dg.SensorEvaluationContext, pipeline: Pipeline, ledger: Ledger) -> str:
    """Refresh the states of pull requests if that is due; return a sentence on what changed."""
    try:
        changed = asyncio.run(_refresh_pull_requests(pipeline, ledger))
    except (RemediationError, TimeoutError) as error:
        context.log.warning(f"Pull requests were not refreshed: {error or 'Devin did not answer in time.'}")
        changed = 0
    if changed:
        ledger.publish()
    return "No wave is under way." + (f" {changed} pull requests have changed." if changed else "")


def _collection(context: dg.SensorEvaluationContext, ledger: Ledger, settled: Uncollected) -> dg.RunRequest | str:
    """Return the request for a run that collects a settled round, or the reason why no run is requested."""
    wave = settled.wave
    # Any unfinished run of the wave but a dispatch waits for its round and collects it.
    for run in context.instance.get_runs(dg.RunsFilter(tags={"dagster/partition": wave}, statuses=UNFINISHED)):
        if run.job_name != dispatch_wave.name:
            return f"{wave} is collected by {run.job_name} {run.run_id[:8]}."
    cause = f"{ledger.ledger_id}-{wave}-round-{settled.round}"
    return request_once(context, collect_wave.name, cause, wave=wave, again_if_cancelled=True)


async def _step(pipeline: Pipeline, ledger: Ledger) -> Step:
    async with pipeline.devin() as devin:
        async with asyncio.timeout(TICK_SECONDS):
            return await advance(ledger, devin, pipeline.policy, seconds=TICK_SECONDS)


async def _refresh_pull_requests(pipeline: Pipeline, ledger: Ledger) -> int:
    async with pipeline.devin() as devin:
        async with asyncio.timeout(TICK_SECONDS):
            return await refresh_pull_requests(ledger, devin, pipeline.policy)
