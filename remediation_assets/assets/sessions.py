"""The asset that spends: the Devin sessions of a wave."""

import asyncio

import dagster as dg

from remediation_assets.devin.errors import DevinError
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.planning.playbooks import read_playbooks
from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.resources import Pipeline, told_to_people
from remediation_assets.sessions.advance import Step, advance, utc_now
from remediation_assets.sessions.events import Timeline
from remediation_assets.sessions.holds import standing_holds
from remediation_assets.sessions.rounds import open_round
from remediation_assets.settings import Settings

from .interruption import run_interruptibly
from .previews import OWNERS, links, preview, published_table
from .waves import register_partition, wave_of, wave_partitions, wave_plan

KINDS = {"devin", "duckdb"}

IGNORED_GATE_TAG = "remediation/ignored_gate"
"""On runs that started a wave although the one before it had not passed."""

TRIES_FOR_THE_FENCE = 30  # a second apart


class DispatchConfig(dg.Config):
    """How to dispatch."""

    ignore_gate: bool = False
    """Start the wave although the one before it has not passed its gate; leaves a trace."""

    again: bool = True
    """Open another round where the last one has been collected; `remediate run` does so only for --wave."""


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
    """One row per attempt of the wave: the Devin session that carries it out. Spends money.

    Opens the wave's next round, or goes on with the one not yet collected, and sends what fits the
    free slots; each attempt gets one session. Refuses a wave while the one before it has not passed.
    """
    with told_to_people():
        wave = wave_of(context)
        settings = pipeline.settings()
        ledger = pipeline.ledger(settings)
        with ledger.transaction() as tx:
            find_wave(tx, wave)
        register_partition(context)
        timeline = Timeline(utc_now())
        with ledger.transaction() as tx:
            opening = open_round(
                tx,
                wave,
                ignore_gate=config.ignore_gate,
                again=config.again,
                run_id=context.run.run_id,
                playbooks=read_playbooks(),
                timeline=timeline,
            )
        for message in timeline.messages:
            context.log.info(message)
        if opening.ignored_gate:
            context.instance.add_run_tags(context.run.run_id, {IGNORED_GATE_TAG: wave})
        if opening.attempts == 0 and not opening.is_new:
            context.log.info(f"{wave}: round {opening.round} has been collected and nothing is left to start.")
        elif not opening.is_new:
            context.log.info(f"{wave}: round {opening.round} is not collected yet; going on with it.")
        step = run_interruptibly(_dispatch(context, pipeline, ledger, settings))
        with ledger.transaction() as tx:
            shown = preview(
                tx,
                """
                SELECT p.finding_id, a.attempt, a.round, a.status, a.dispatched_at, a.acus_consumed AS acus
                FROM attempts a JOIN wave_plan p ON p.finding_key = a.finding_key AND p.wave_number = a.wave_number
                WHERE p.wave = ? ORDER BY p.position, a.attempt
                """,
                [wave],
            )
            live = links(
                tx,
                """
                SELECT p.finding_id, a.attempt, a.status, a.session_url AS session, a.pr_url AS pull_request
                FROM attempts a JOIN wave_plan p ON p.finding_key = a.finding_key AND p.wave_number = a.wave_number
                WHERE p.wave = ? AND a.round = ? AND a.session_url IS NOT NULL ORDER BY p.position, a.attempt
                """,
                [wave, opening.round],
            )
            table = published_table(tx, "attempts")
            holds = standing_holds(tx)
            count = tx.execute(
                """
                SELECT count(*), count(*) FILTER (claimed_at IS NULL AND outcome IS NULL)
                FROM attempts SEMI JOIN waves w ON w.wave_number = attempts.wave_number AND w.wave = ?
                """,
                [wave],
            ).fetchone() or (0, 0)
        ledger.publish(force=True)
    return dg.MaterializeResult(
        metadata={
            **table,
            "dagster/partition_row_count": count[0],
            "round": opening.round,
            "new sessions": step.started,
            "waiting for a slot": count[1],
            "gate overruled": opening.ignored_gate,
            "holds": "; ".join(hold.sentence for hold in holds) or "none",
            "sessions": live,
            "preview": shown,
        }
    )


async def _dispatch(context: dg.AssetExecutionContext, pipeline: Pipeline, ledger: Ledger, settings: Settings) -> Step:
    """Take one step; where another process is at work, wait for it to end its own."""
    async with pipeline.devin(settings) as devin:
        for _ in range(TRIES_FOR_THE_FENCE):
            try:
                step = await advance(ledger, devin, settings)
            except DevinError as error:
                # Nothing was dispatched. A run that waits, or the sensor, tries again.
                context.log.warning(f"Devin cannot be reached, nothing was dispatched yet: {error}")
                return Step()
            for message in step.messages:
                context.log.info(message)
            if not step.busy:
                break
            await asyncio.sleep(1)
        else:
            context.log.warning(f"Whoever is at work dispatches this wave with its next step: {step.busy}")
    return step
