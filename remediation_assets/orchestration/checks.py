"""The gate as Dagster shows it: a blocking check of each wave's results."""

import warnings

import dagster as dg

from remediation_assets.orchestration.assets.results import session_results
from remediation_assets.orchestration.assets.waves import wave_partitions
from remediation_assets.reports.waves import outcome_counts
from remediation_assets.sessions.store.gate_results import last_verdict
from remediation_assets.sessions.store.rounds import mark_collected

from .metadata import gate_metadata
from .resources import Pipeline, told_to_people


def _evaluate(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> dg.AssetCheckResult:
    """Compare the wave's success rate with MIN_SUCCESS_RATE; the next wave starts only if it is reached.

    With its verdict the wave's round counts as collected.
    """
    wave = context.partition_key
    with told_to_people():
        ledger = pipeline.ledger
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
                metadata=gate_metadata(tx, verdict, outcome_counts(tx, wave)),
            )
            # Only now: a run that fails before has collected nothing, and is requested again.
            mark_collected(tx, verdict.wave_number)
        ledger.publish(force=True)
    return result


with warnings.catch_warnings():
    # Partitioned checks are a preview API. pyproject.toml pins Dagster for that; people need not be told each time.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    success_rate_gate = dg.asset_check(
        name="success_rate_gate", asset=session_results, blocking=True, partitions_def=wave_partitions
    )(_evaluate)
