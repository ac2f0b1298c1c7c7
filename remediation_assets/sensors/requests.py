"""Asking Dagster for a run once for each cause, and a few times again where it failed."""

import dagster as dg

_FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_CAUSE = "remediation/cause"


def request_once(
    context: dg.SensorEvaluationContext,
    job: str,
    cause: str,
    *,
    wave: str | None = None,
    config: dg.RunConfig | None = None,
    tries: int = 3,
) -> dg.RunRequest | None:
    """Give the request of a job's run for a cause; None where it has failed too often, which is logged.

    Dagster uses a run key once and never again, so it names the cause and the try. A cause names the
    ledger too: one that is made anew has the same waves and rounds.
    """
    tags = {_CAUSE: cause}
    failed = context.instance.get_runs(dg.RunsFilter(job_name=job, tags=tags, statuses=_FAILED))
    if len(failed) >= tries:
        context.log.warning(
            f"{job} has failed for {cause}, {len(failed)} of {tries} tries; see why in its run, then launch it."
        )
        return None
    return dg.RunRequest(
        run_key=f"{cause}-try-{len(failed) + 1}",
        job_name=job,
        partition_key=wave,
        tags=tags,
        run_config=config or {},
    )
