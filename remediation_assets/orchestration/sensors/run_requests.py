"""Asking Dagster for a run once for each cause, and a few times again where it failed."""

import time

import dagster as dg

from remediation_assets.orchestration.resources import GIVE_UP_TAG

TRIES = 3
WAIT_SECONDS = 60.0
"""Between two tries, longer each time, so that a disturbance of a minute does not use them up."""

CAUSE_TAG = "remediation/cause"

_FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def request_once(
    context: dg.SensorEvaluationContext,
    job: str,
    cause: str,
    *,
    wave: str | None = None,
    config: dg.RunConfig | None = None,
    again_where_cancelled: bool = False,
) -> dg.RunRequest | str:
    """Give the request of a job's run for a cause, or say why there is none.

    Dagster uses a run key once and never again, so it names the cause and the try. A cause names the
    ledger too: one that is made anew has the same waves and rounds. A run that a person cancelled is
    not launched again, unless it spends nothing and `again_where_cancelled` says so.
    """
    records = context.instance.get_run_records(
        dg.RunsFilter(job_name=job, tags={CAUSE_TAG: cause}, statuses=_FAILED), limit=TRIES
    )
    runs = [record.dagster_run for record in records]
    if records:
        last, name = records[0], f"{job} {runs[0].run_id[:8]}"
        if runs[0].status is dg.DagsterRunStatus.CANCELED and not again_where_cancelled:
            return f"{name} was cancelled, so it is not launched again; launch {job} where you want it."
        if len(records) >= TRIES or any(GIVE_UP_TAG in run.tags for run in runs):
            return f"{name} has failed; see why in its run, then launch {job}."
        if time.time() - last.update_timestamp.timestamp() < WAIT_SECONDS * len(records):
            return f"{name} has failed; it is tried again in a while."
    return dg.RunRequest(
        run_key=f"{cause}-try-{len(records) + 1}",
        job_name=job,
        partition_key=wave,
        tags={CAUSE_TAG: cause},
        run_config=config or {},
    )
