"""The gate in Dagster: a blocking check of each wave's results. The session engine decides the verdict."""

import warnings

import dagster as dg

from remediation_assets.ledger.ledger import Ledger
from remediation_assets.models import GateVerdict
from remediation_assets.orchestration.assets.results import session_results
from remediation_assets.orchestration.assets.waves import wave_partitions
from remediation_assets.reports.waves import outcome_counts
from remediation_assets.sessions.store.gate_results import last_verdict
from remediation_assets.sessions.store.rounds import mark_collected

from .last_line import print_last
from .metadata import gate_metadata
from .resources import Pipeline, as_dagster_failure


def _evaluate(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> dg.AssetCheckResult:
    """Whether the wave's success rate reaches MIN_SUCCESS_RATE; only then may the next wave start.

    Once the verdict is reported, the wave's round counts as collected.
    """
    with as_dagster_failure():
        result = _report(pipeline.ledger, context.partition_key)
    if not result.passed and result.severity is dg.AssetCheckSeverity.ERROR:
        print_last(result.description or "")
    return result


def _report(ledger: Ledger, wave: str) -> dg.AssetCheckResult:
    """Report the verdict on the wave's last settled round, and mark the round as collected."""
    with ledger.transaction() as tx:
        verdict = last_verdict(tx, wave)
        if verdict is None:
            # Dagster takes a check without a result as passed, so a wave that has not settled has to fail it.
            return dg.AssetCheckResult(
                passed=False,
                description=f"{wave} has not settled and has no verdict yet; the job collect_wave waits for it.",
            )
        result = dg.AssetCheckResult(
            passed=verdict.verdict is GateVerdict.PASSED,
            # Of a wave that was not judged, too: CI must not take a stopped wave for one that passed. If nothing of it
            # is left to run, it keeps nobody back, and its run does not fail.
            severity=dg.AssetCheckSeverity.WARN if verdict.opens else dg.AssetCheckSeverity.ERROR,
            description=f"{wave} {verdict.verdict.words}: {verdict.sentence}. {verdict.advice}",
            metadata=gate_metadata(tx, verdict, outcome_counts(tx, wave)),
        )
        # Last: a run that fails before this line has collected nothing, and the sensor requests it again.
        mark_collected(tx, verdict.wave_number)
    ledger.publish(force=True)
    return result


with warnings.catch_warnings():
    # Partitioned checks are a preview API. pyproject.toml pins Dagster because of it, so nobody needs the warning.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    success_rate_gate = dg.asset_check(
        name="success_rate_gate", asset=session_results, blocking=True, partitions_def=wave_partitions
    )(_evaluate)
