"""The gate as Dagster shows it: a blocking check of each wave's results."""

import warnings

import dagster as dg

from remediation_assets.assets.previews import preview
from remediation_assets.assets.sessions import session_results
from remediation_assets.assets.waves import wave_partitions
from remediation_assets.resources import Pipeline, told_to_people
from remediation_assets.sessions.gate import describe


def _judge(context: dg.AssetCheckExecutionContext, pipeline: Pipeline) -> dg.AssetCheckResult:
    """Compare the wave's success rate with MIN_SUCCESS_RATE; the next wave starts only if it is reached."""
    wave = context.partition_key
    with told_to_people():
        ledger = pipeline.ledger(pipeline.settings())
        with ledger.transaction() as tx:
            row = tx.execute(
                """
                SELECT round, passed, succeeded, answerable, rate, threshold, interval_low, interval_high, ignored_gate
                FROM gate_results WHERE wave = ? ORDER BY round DESC LIMIT 1
                """,
                [wave],
            ).fetchone()
            failures = preview(
                tx,
                """
                SELECT finding_id, outcome, attempt, error_message, session_url FROM session_results
                WHERE wave = ? AND outcome IS DISTINCT FROM 'success' ORDER BY position
                """,
                [wave],
            )
    if row is None:
        # No result would open the gate for Dagster, so a wave that has not settled fails it.
        return dg.AssetCheckResult(passed=False, description=f"{wave} has not settled: there is no verdict yet.")
    number, passed, succeeded, answerable, rate, threshold, low, high, ignored_gate = row
    return dg.AssetCheckResult(
        passed=bool(passed),
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{wave}: {describe(succeeded, answerable, rate, threshold)}."
        + ("" if passed else f" Look at the failures, then run {wave} again."),
        metadata={
            "round": number,
            "succeeded": succeeded,
            "counted": answerable,
            **({"success rate": rate} if rate is not None else {}),
            "threshold": threshold,
            "95 % interval": f"{low:.0%} to {high:.0%}" if low is not None else "none",
            "started although the wave before had not passed": bool(ignored_gate),
            "not succeeded": failures,
        },
    )


with warnings.catch_warnings():
    # Partitioned checks are a preview API. pyproject.toml pins Dagster for that; people need not be told each time.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    success_rate_gate = dg.asset_check(
        name="success_rate_gate", asset=session_results, blocking=True, partitions_def=wave_partitions
    )(_judge)
