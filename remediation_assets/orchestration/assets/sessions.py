"""The asset that starts sessions, and so spends money."""

import asyncio

import dagster as dg

from remediation_assets.devin.errors import DevinError
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Journal
from remediation_assets.orchestration.interrupts import run_interruptibly
from remediation_assets.orchestration.metadata import OWNERS, devin_sessions_metadata
from remediation_assets.orchestration.resources import Pipeline, as_dagster_failure
from remediation_assets.planning.playbooks import read_playbooks
from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.sessions.reconcile import Step, advance
from remediation_assets.sessions.store.attempts import count_of_wave
from remediation_assets.sessions.store.holds import standing_holds
from remediation_assets.sessions.store.rounds import GateClosed, Opening, OpenOptions, open_round

from .waves import register_partition, wave_of, wave_partitions, wave_plan

KINDS = {"devin", "duckdb"}

IGNORED_GATE_TAG = "remediation/ignored_gate"
"""Tag of runs that started a wave although the one before it had not passed; its value is the wave."""

TRIES_FOR_THE_LOCK = 30  # a second apart


class DispatchConfig(dg.Config, use_attribute_docstrings=True):
    """Exceptions from the usual order of waves and rounds."""

    ignore_gate: bool = False
    """Start the wave even if the one before it has not passed its gate; this is recorded with the verdict."""

    again: bool = True
    """Open another round if the last one has been collected; `remediate run` does so only with --wave."""


@dg.asset(
    group_name="sessions",
    kinds=KINDS,
    owners=OWNERS,
    tags={"spends": "acus"},
    deps=[wave_plan],
    partitions_def=wave_partitions,
)
def devin_sessions(
    context: dg.AssetExecutionContext, config: DispatchConfig, pipeline: Pipeline
) -> dg.MaterializeResult[None]:
    """One row per attempt of the wave, with its Devin session. Spends money.

    Opens the wave's next round, or continues the one that is not collected yet, and starts sessions in the
    free slots, exactly one for each attempt. Refuses a wave while the one before it has not passed.
    """
    with as_dagster_failure():
        wave, ledger = wave_of(context), pipeline.ledger
        with ledger.transaction() as tx:
            # Raises if there is no such wave, before it becomes a partition and before anything is spent.
            find_wave(tx, wave)
        register_partition(context)
        opening = _open_round(context, config, ledger, wave)
        step = run_interruptibly(_dispatch(context, pipeline, ledger))
        with ledger.transaction() as tx:
            metadata = devin_sessions_metadata(tx, wave, opening.round, count_of_wave(tx, wave), standing_holds(tx))
        ledger.publish(force=True)
    return dg.MaterializeResult(
        metadata=metadata | {"new sessions": step.started, "gate overruled": opening.ignored_gate}
    )


def _open_round(context: dg.AssetExecutionContext, config: DispatchConfig, ledger: Ledger, wave: str) -> Opening:
    """Open the wave's next round or continue the last one, and log which; tag the run if it ignored the gate.

    A refusal is shown on the page of the wave's partition, too.
    """
    journal = Journal()
    options = OpenOptions(run_id=context.run.run_id, ignore_gate=config.ignore_gate, again=config.again)
    try:
        with ledger.transaction(journal) as tx:
            opening = open_round(tx, wave, read_playbooks(), options)
    except GateClosed as error:
        # A failed run leaves nothing on the page of its partition; an event that is logged is stored at once.
        context.log_event(
            dg.AssetObservation(
                context.asset_key, partition=wave, metadata={"refused": dg.MetadataValue.text(str(error))}
            )
        )
        raise
    for message in journal.messages:
        context.log.info(message)
    # A tag, so that such runs can be filtered in the UI.
    if opening.ignored_gate:
        context.instance.add_run_tags(context.run.run_id, {IGNORED_GATE_TAG: wave})
    if opening.attempts == 0 and not opening.is_new:
        context.log.info(f"{wave}: round {opening.round} has been collected and nothing is left to start.")
    elif not opening.is_new:
        context.log.info(f"{wave}: round {opening.round} is not collected yet; continuing it.")
    return opening


async def _dispatch(context: dg.AssetExecutionContext, pipeline: Pipeline, ledger: Ledger) -> Step:
    """Take one step; if another process is taking one, wait until it has finished."""
    async with pipeline.devin() as devin:
        for _ in range(TRIES_FOR_THE_LOCK):
            try:
                step = await advance(ledger, devin, pipeline.policy)
            except DevinError as error:
                # No failure: the round is open, and session_results or the sensor dispatches it with the next step.
                context.log.warning(f"Devin cannot be reached, so nothing was dispatched yet: {error}")
                return Step()
            for message in step.messages:
                context.log.info(message)
            if not step.busy:
                break
            await asyncio.sleep(1)
        else:
            context.log.warning(f"The process at work dispatches this wave with its next step: {step.busy}")
    return step
