"""Request a run from Dagster once for each cause, and a few more times if the run fails."""

import time

import dagster as dg

from remediation_assets.orchestration.resources import GIVE_UP_TAG

TRIES = 3
WAIT_SECONDS = 60.0
"""Pause before the second try, longer before each further one: an outage of a minute must not use up all tries."""

CAUSE_TAG = "remediation/cause"
"""Tag of requested runs, by which earlier tries for the same cause are found."""

_FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def request_once(
    context: dg.SensorEvaluationContext,
    job: str,
    cause: str,
    *,
    wave: str | None = None,
    config: dg.RunConfig | None = None,
    again_if_cancelled: bool = False,
) -> dg.RunRequest | str:
    """Return the request for a run of a job, or the reason why there is none.

    Dagster never uses a run key twice, so the key has the cause and the number of the try. The cause must contain the
    ledger's id, because another ledger has waves and rounds of the same names. A run that a person cancelled is
    launched again only with `again_if_cancelled`, which is for jobs that spend nothing.
    """
    records = context.instance.get_run_records(
        dg.RunsFilter(job_name=job, tags={CAUSE_TAG: cause}, statuses=_FAILED), limit=TRIES
    )
    # Newest first.
    runs = [record.dagster_run for record in records]
    if records:
        last, name = records[0], f"{job} {runs[0].run_id[:8]}"
        if runs[0].status is dg.DagsterRunStatus.CANCELED and not again_if_cancelled:
            return f"{name} was cancelled, so it is not launched again; launch {job} if you want it."
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
