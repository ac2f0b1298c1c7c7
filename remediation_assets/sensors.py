"""The sensor that follows sessions while no run waits for them."""

import asyncio

import dagster as dg

from remediation_assets.errors import RemediationError
from remediation_assets.jobs import collect_wave
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.liveness import report_dead_runs
from remediation_assets.resources import Pipeline
from remediation_assets.sessions.advance import Step, advance
from remediation_assets.sessions.stopping import unfinished_endings
from remediation_assets.settings import Settings, SettingsError, load_settings

COLLECT_TRIES = 3

TICK_SECONDS = 50.0
"""A tick must end inside Dagster's deadline of 60 seconds; no creation is sent that could outlast it."""

TICK_LOCK_SECONDS = 10.0
"""So it waits less for the ledger, too."""


def _interval_seconds() -> int:
    # Read when the definitions load; a wrong setting is told by the first run, with its sentence.
    try:
        return max(1, round(load_settings().poll_interval_seconds))
    except SettingsError:
        return 30


@dg.sensor(
    job=collect_wave,
    minimum_interval_seconds=_interval_seconds(),
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
        collectable, live = _waves(ledger)
        if not live and not collectable:
            return dg.SkipReason("No wave is under way.")
    except RemediationError as error:
        return dg.SkipReason(str(error))
    try:
        step = asyncio.run(_step(pipeline, ledger, settings)) if live else Step()
    except (RemediationError, TimeoutError) as error:
        reason = str(error) or f"Devin did not answer within {TICK_SECONDS:g} seconds; the next tick tries again."
        if not collectable:
            return dg.SkipReason(reason)
        # Collecting what has settled needs no poll.
        context.log.warning(reason)
        step = Step()
    for message in step.messages:
        context.log.info(message)
    if not collectable:
        holds = "; ".join(hold.sentence for hold in step.holds)
        return dg.SkipReason(step.busy or holds or "Sessions are under way.")
    # A run that waits for the wave collects it itself, so what settled in this tick is left to the next.
    return dg.SensorResult(
        run_requests=[
            request for wave, number in collectable if (request := _request(context, ledger.ledger_id, wave, number))
        ]
    )


def _request(context: dg.SensorEvaluationContext, ledger_id: str, wave: str, number: int) -> dg.RunRequest | None:
    """Ask for one collection of a settled round; again where that failed, a few times."""
    failed = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    tags = {"dagster/partition": wave, "remediation/round": f"{ledger_id}-{number}"}
    tries = len(context.instance.get_runs(dg.RunsFilter(job_name=collect_wave.name, tags=tags, statuses=failed)))
    if tries >= COLLECT_TRIES:
        context.log.warning(f"{wave} has settled and could not be collected {tries} times; launch collect_wave.")
        return None
    # A key is never used twice, so it names the ledger and the try as well as the round.
    key = f"{ledger_id}-{wave}-round-{number}-try-{tries + 1}"
    return dg.RunRequest(run_key=key, partition_key=wave, tags=tags)


def _waves(ledger: Ledger) -> tuple[list[tuple[str, int]], int]:
    """Load the settled rounds that nobody has collected, and how many attempts or endings are open."""
    with ledger.transaction() as tx:
        collectable = tx.execute(
            """
            SELECT w.wave, r.round FROM rounds r JOIN waves w USING (wave_number)
            WHERE r.settled_at IS NOT NULL AND r.collected_at IS NULL ORDER BY w.wave
            """
        ).fetchall()
        row = tx.execute(
            """
            SELECT count(*) FROM rounds WHERE settled_at IS NULL
            """
        ).fetchone()
        live = (row[0] if row else 0) + unfinished_endings(tx)
    return [(wave, number) for wave, number in collectable], live


async def _step(pipeline: Pipeline, ledger: Ledger, settings: Settings) -> Step:
    async with pipeline.devin(settings) as devin:
        async with asyncio.timeout(TICK_SECONDS):
            return await advance(ledger, devin, settings, seconds=TICK_SECONDS)
