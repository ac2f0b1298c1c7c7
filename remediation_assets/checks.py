"""The gate as Dagster shows it: a blocking check of each wave's results."""

import warnings
from typing import Any

import dagster as dg
from duckdb import DuckDBPyConnection

from remediation_assets.assets.previews import links, preview
from remediation_assets.assets.results import session_results
from remediation_assets.assets.waves import wave_partitions
from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.resources import Pipeline, told_to_people
from remediation_assets.sessions.advance import utc_now
from remediation_assets.sessions.rounds import mark_collected
from remediation_assets.sessions.verdicts import GateResult, last_verdict


def _judge(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> dg.AssetCheckResult:
    """Compare the wave's success rate with MIN_SUCCESS_RATE; the next wave starts only if it is reached.

    With its verdict the wave's round counts as collected.
    """
    wave = context.partition_key
    with told_to_people():
        ledger = pipeline.ledger(pipeline.settings())
        with ledger.transaction() as tx:
            verdict = last_verdict(tx, wave)
            if verdict is None:
                # No result would open the gate for Dagster, so a wave that has not settled fails it.
                return dg.AssetCheckResult(
                    passed=False, description=f"{wave} has not settled: there is no verdict yet."
                )
            result = dg.AssetCheckResult(
                passed=verdict.passed,
                severity=dg.AssetCheckSeverity.ERROR,
                description=f"{wave}: {verdict.sentence}. {verdict.advice}",
                metadata=_metadata(tx, verdict),
            )
            # Only now: a run that fails before has collected nothing, and is asked for again.
            mark_collected(tx, find_wave(tx, wave).wave_number, utc_now())
        ledger.publish(force=True)
    return result


def _metadata(tx: DuckDBPyConnection, verdict: GateResult) -> dict[str, Any]:
    interval = verdict.interval
    counts = tx.execute(
        """
        SELECT coalesce(outcome, status), count(*) FROM session_results WHERE wave = ? GROUP BY ALL ORDER BY ALL
        """,
        [verdict.wave],
    ).fetchall()
    return {
        "what to do": verdict.advice,
        "round": verdict.round,
        **({} if verdict.rate is None else {"success rate": verdict.rate}),
        "threshold": verdict.threshold,
        "95 % interval": f"{interval[0]:.0%} to {interval[1]:.0%}" if interval else "none",
        "findings": verdict.findings,
        "succeeded": verdict.succeeded,
        "counted": verdict.answerable,
        **{f"outcome {outcome}": count for outcome, count in counts},
        "started although the wave before had not passed": verdict.ignored_gate,
        "not succeeded": links(
            tx,
            """
            SELECT finding_id, outcome, review, attempt, error_message AS reason, session_url AS session,
                pr_url AS pull_request
            FROM session_results WHERE wave = ? AND is_fixed IS DISTINCT FROM true ORDER BY position
            """,
            [verdict.wave],
        ),
        "history": preview(
            tx,
            """
            SELECT round, decided_at, passed, succeeded, answerable AS counted, rate, threshold, ignored_gate
            FROM gate_results WHERE wave = ? ORDER BY round
            """,
            [verdict.wave],
        ),
    }


with warnings.catch_warnings():
    # Partitioned checks are a preview API. pyproject.toml pins Dagster for that; people need not be told each time.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    success_rate_gate = dg.asset_check(
        name="success_rate_gate", asset=session_results, blocking=True, partitions_def=wave_partitions
    )(_judge)
