"""The sensor that follows sessions while no run waits for them."""

import asyncio

import dagster as dg

from remediation_assets.errors import RemediationError
from remediation_assets.jobs import collect_wave, dispatch_wave
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.liveness import UNFINISHED, report_dead_runs
from remediation_assets.resources import Pipeline
from remediation_assets.sessions.advance import Step, advance, utc_now
from remediation_assets.sessions.pull_requests import refresh_pull_requests
from remediation_assets.sessions.rounds import uncollected
from remediation_assets.sessions.stopping import unfinished_endings
from remediation_assets.settings import Settings

from .intervals import poll_interval_seconds
from .requests import request_once

TICK_SECONDS = 50.0
"""A tick must end inside Dagster's deadline of 60 seconds; no creation is sent that could outlast it."""

TICK_LOCK_SECONDS = 10.0
"""So it waits less for the ledger, too."""


@dg.sensor(
    job=collect_wave,
    minimum_interval_seconds=poll_interval_seconds(),
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def devin_session_sensor(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SensorResult | dg.SkipReason:
    """Poll Devin, top up, retry and settle, then collect what has settled. Starts only what a person opened."""
    try:
        settings = pipeline.settings()
        settings = settings.model_copy(
            update={"ledger_lock_timeout_seconds": min(TICK_LOCK_SECONDS, settings.ledger_lock_timeout_seconds)}
        )
        ledger = pipeline.ledger(settings)
        for message in report_dead_runs(context.instance, ledger.data_dir):
            context.log.warning(message)
        if not ledger.path.exists():
            return dg.SkipReason("Nothing is planned yet.")
        said = _carry(context, pipeline, ledger, settings) or _idle(context, pipeline, ledger, settings)
        with ledger.transaction() as tx:
            settled = uncollected(tx)
    except RemediationError as error:
        return dg.SkipReason(str(error))
    answers = [_collection(context, ledger, wave, number) for wave, number in settled]
    requests = [answer for answer in answers if isinstance(answer, dg.RunRequest)]
    if requests:
        return dg.SensorResult(run_requests=requests)
    return dg.SkipReason("; ".join([said, *(answer for answer in answers if isinstance(answer, str))]))


def _carry(context: dg.SensorEvaluationContext, pipeline: Pipeline, ledger: Ledger, settings: Settings) -> str:
    """Take a step where something is under way; say what is waited for."""
    with ledger.transaction() as tx:
        [(open_rounds,)] = tx.execute("SELECT count(*) FROM rounds WHERE settled_at IS NULL").fetchall()
        if not open_rounds and not unfinished_endings(tx):
            return ""
    try:
        step = asyncio.run(_step(pipeline, ledger, settings))
    except (RemediationError, TimeoutError) as error:
        reason = str(error) or f"Devin did not answer within {TICK_SECONDS:g} seconds; the next tick tries again."
        context.log.warning(reason)
        return reason
    for message in step.messages:
        context.log.info(message)
    holds = "; ".join(hold.sentence for hold in step.holds)
    return step.busy or holds or "Sessions are under way."


def _idle(context: dg.SensorEvaluationContext, pipeline: Pipeline, ledger: Ledger, settings: Settings) -> str:
    """Look, now and then, how the pull requests fare; nothing waits for it."""
    try:
        changed = asyncio.run(_look_at_pull_requests(pipeline, ledger, settings))
    except (RemediationError, TimeoutError) as error:
        context.log.warning(f"Pull requests were not looked at: {error or 'Devin did not answer in time.'}")
        changed = 0
    if changed:
        ledger.publish()
    return "No wave is under way." + (f" {changed} pull requests have changed." if changed else "")


def _collection(context: dg.SensorEvaluationContext, ledger: Ledger, wave: str, number: int) -> dg.RunRequest | str:
    """Ask for the collection of a settled round, unless a run that waits for the wave will do it."""
    for run in context.instance.get_runs(dg.RunsFilter(tags={"dagster/partition": wave}, statuses=UNFINISHED)):
        if run.job_name != dispatch_wave.name:
            return f"{wave} is collected by {run.job_name} {run.run_id[:8]}."
    cause = f"{ledger.ledger_id}-{wave}-round-{number}"
    return request_once(context, collect_wave.name, cause, wave=wave, again_where_cancelled=True)


async def _step(pipeline: Pipeline, ledger: Ledger, settings: Settings) -> Step:
    async with pipeline.devin(settings) as devin:
        async with asyncio.timeout(TICK_SECONDS):
            return await advance(ledger, devin, settings, seconds=TICK_SECONDS)


async def _look_at_pull_requests(pipeline: Pipeline, ledger: Ledger, settings: Settings) -> int:
    async with pipeline.devin(settings) as devin:
        async with asyncio.timeout(TICK_SECONDS):
            return await refresh_pull_requests(ledger, devin, settings, now=utc_now)
