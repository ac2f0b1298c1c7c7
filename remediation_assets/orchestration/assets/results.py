"""The asset that waits for a wave's sessions and collects their results."""

import dagster as dg

from remediation_assets.ledger.ledger import Ledger
from remediation_assets.orchestration.interrupts import run_interruptibly
from remediation_assets.orchestration.metadata import OWNERS, session_results_metadata
from remediation_assets.orchestration.resources import Pipeline, as_dagster_failure
from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.reports.waves import wave_results
from remediation_assets.sessions.reconcile import follow
from remediation_assets.sessions.store.events import round_history
from remediation_assets.sessions.store.rounds import last_round, unfinished_findings

from .sessions import KINDS, devin_sessions
from .waves import register_partition, wave_of, wave_partitions


@dg.asset(
    group_name="sessions",
    kinds=KINDS,
    owners=OWNERS,
    tags={"spends": "acus"},
    deps=[devin_sessions],
    partitions_def=wave_partitions,
)
def session_results(context: dg.AssetExecutionContext, pipeline: Pipeline) -> dg.MaterializeResult[None]:
    """One row per finding of the wave: its last attempt, how it ended, and its pull request.

    Waits until the wave's round has settled: follows its sessions, fills free slots and retries. Opens no round: the
    job remediate_wave runs a wave again.
    """
    with as_dagster_failure():
        wave, ledger = wave_of(context), pipeline.ledger
        note = _look_at_last_round(context, ledger, wave)
        register_partition(context)
        try:
            run_interruptibly(_follow(context, pipeline, ledger))
        except dg.DagsterExecutionInterruptedError:
            # Dagster logs the interruption, but not that the sessions go on and cost money.
            context.log.warning(
                f"Stopped waiting for {wave}; its sessions continue at Devin. "
                "The job collect_wave collects their results."
            )
            raise
        with ledger.transaction() as tx:
            metadata = session_results_metadata(tx, wave, wave_results(tx, wave))
        ledger.publish(force=True)
    return dg.MaterializeResult(
        metadata=metadata | note | {"published results": dg.MetadataValue.path(str(ledger.published_path))}
    )


def _look_at_last_round(context: dg.AssetExecutionContext, ledger: Ledger, wave: str) -> dict[str, str]:
    """Log the events of the wave's last round if the round has settled, because following it would log none then.

    Return metadata with a note if the round was collected before: the run shows what it showed already.
    """
    with ledger.transaction() as tx:
        wave_number = find_wave(tx, wave).wave_number
        current = last_round(tx, wave_number)
        if current is None or current.settled_at is None:
            return {}
        messages = round_history(tx, wave_number, current.round)
        left = unfinished_findings(tx, wave_number) if current.collected_at else []
    for message in messages:
        context.log.info(message)
    if current.collected_at is None:
        return {}
    again = f"the job remediate_wave runs {wave} again" if left else f"nothing of {wave} is left to run again"
    note = f"This run opened no round and shows the results of round {current.round} once more; {again}."
    context.log.warning(note)
    return {"note": note}


async def _follow(context: dg.AssetExecutionContext, pipeline: Pipeline, ledger: Ledger) -> None:
    async with pipeline.devin() as devin:
        await follow(ledger, devin, pipeline.policy, context.partition_key, log=context.log.info)
