"""The asset that collects: what came of a wave's sessions."""

from typing import Any

import dagster as dg
from duckdb import DuckDBPyConnection

from remediation_assets.ledger.ledger import Ledger
from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.resources import Pipeline, told_to_people
from remediation_assets.sessions.advance import follow
from remediation_assets.sessions.events import history
from remediation_assets.sessions.rounds import last_round
from remediation_assets.settings import Settings

from .interruption import run_interruptibly
from .previews import OWNERS, links, preview, published_table
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

    Waits until the wave's round has settled: follows its sessions, tops up and retries.
    """
    with told_to_people():
        wave = wave_of(context)
        settings = pipeline.settings()
        ledger = pipeline.ledger(settings)
        with ledger.transaction() as tx:
            wave_number = find_wave(tx, wave).wave_number
            current = last_round(tx, wave_number)
            told = history(tx, wave_number, current.round) if current and current.settled_at else []
        for message in told:
            context.log.info(message)
        register_partition(context)
        try:
            run_interruptibly(_follow(context, pipeline, ledger, settings))
        except dg.DagsterExecutionInterruptedError:
            context.log.warning(
                f"Stopped waiting for {wave}; its sessions go on at Devin. Run it again to collect them."
            )
            raise
        with ledger.transaction() as tx:
            metadata = _metadata(tx, wave)
        ledger.publish(force=True)
    return dg.MaterializeResult(
        metadata=metadata | {"published results": dg.MetadataValue.path(str(ledger.published_path))}
    )


async def _follow(context: dg.AssetExecutionContext, pipeline: Pipeline, ledger: Ledger, settings: Settings) -> None:
    async with pipeline.devin(settings) as devin:
        await follow(ledger, devin, settings, context.partition_key, log=context.log.info)


def _metadata(tx: DuckDBPyConnection, wave: str) -> dict[str, Any]:
    """Give numbers, which the UI plots over the waves, and tables of the wave's results."""
    [(findings, succeeded, pull_requests, minutes)] = tx.execute(
        """
        SELECT count(*), count(*) FILTER (is_fixed), count(pr_url) FILTER (outcome = 'success'),
            median(minutes) FILTER (outcome = 'success')
        FROM session_results WHERE wave = ?
        """,
        [wave],
    ).fetchall()
    [(attempts, acus)] = tx.execute(
        "SELECT count(session_id), sum(acus_consumed) FROM attempts JOIN waves USING (wave_number) WHERE wave = ?",
        [wave],
    ).fetchall()
    verdict = tx.execute("SELECT rate FROM gate_results WHERE wave = ? ORDER BY round DESC LIMIT 1", [wave]).fetchone()
    numbers = {
        "success rate": verdict[0] if verdict else None,
        "minutes to a pull request (median)": minutes,
        "ACUs": acus,
        "ACUs per success": acus / succeeded if acus is not None and succeeded else None,
    }
    return {
        **published_table(tx, "session_results"),
        "dagster/partition_row_count": findings,
        "succeeded": succeeded,
        "pull requests": pull_requests,
        "sessions": attempts,
        **{name: float(value) for name, value in numbers.items() if value is not None},
        "links": links(
            tx,
            """
            SELECT finding_id, outcome, pr_url AS pull_request, session_url AS session FROM session_results
            WHERE wave = ? ORDER BY position
            """,
            [wave],
        ),
        "preview": preview(
            tx,
            """
            SELECT finding_id, status, outcome, attempt, round(minutes, 2) AS minutes, pr_url, session_url,
                error_message
            FROM session_results WHERE wave = ? ORDER BY position
            """,
            [wave],
        ),
    }
