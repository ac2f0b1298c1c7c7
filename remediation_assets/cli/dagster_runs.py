"""Real Dagster runs in this process, for the command line; the UI shows them like any other run.

Dagster takes a second to import, so it is imported only when something is run: commands that only read start fast.
"""

import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remediation_assets.errors import RemediationError
from remediation_assets.locks import held
from remediation_assets.settings import CHECKOUT, Settings

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.instance import DagsterInstanceOverrides

# Dagster's own log lines would bury ours; they are kept in the run's record.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


# Captured, the output of each step goes through processes of Dagster's own, which take a second to start, and on ^C
# print their tracebacks over our sentence. The steps print nothing: they log, and the UI has the log.
_WITHOUT_CAPTURED_OUTPUT: "DagsterInstanceOverrides" = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}


class RunFailed(RemediationError):
    """A Dagster run failed; the message is that of its first failure."""


class Interrupted(RemediationError):
    """A person interrupted a run with ^C; the message says what goes on and what to do."""


class NoDagsterHome(RemediationError):
    """DAGSTER_HOME cannot be used; the message says why."""


@dataclass(frozen=True)
class FinishedRun:
    """How a run ended, and why it failed if it did.

    `only_gate_failed` is true if every asset was materialized but the wave did not pass.
    """

    run_id: str
    succeeded: bool
    only_gate_failed: bool
    reason: str
    error: str = ""
    """The class of our error that failed the run, empty if the run did not fail by one."""


def prepare_dagster_home(settings: Settings) -> None:
    """Create Dagster's home if it is missing, and set DAGSTER_HOME to it; raise NoDagsterHome if it cannot be used."""
    home = settings.home
    if not home.is_absolute():
        raise NoDagsterHome(f"DAGSTER_HOME={home} is not absolute; set it to {home.absolute()}.")
    try:
        home.mkdir(parents=True, exist_ok=True)
        _copy_settings(home)
    except OSError as error:
        raise NoDagsterHome(
            f"DAGSTER_HOME={home} cannot be used ({error.strerror}); set it to another folder."
        ) from None
    os.environ["DAGSTER_HOME"] = str(home)


def is_used(home: Path) -> bool:
    """Whether Dagster has stored anything in this home folder."""
    # The folders of the SQLite storages for runs and events.
    return (home / "storage").exists() or (home / "history").exists()


def _copy_settings(home: Path) -> None:
    """Copy the project's dagster.yaml into a new home: no telemetry, and waves one after the other."""
    ours, theirs = CHECKOUT / "dagster_home" / "dagster.yaml", home / "dagster.yaml"
    # A home that Dagster has used without our dagster.yaml is somebody's own choice. Other files, such as the
    # simulator's world, do not make it one.
    if ours.exists() and not theirs.exists() and not is_used(home):
        # Renamed into place, so that another process never reads half of it.
        building = home / f"dagster.yaml.{os.getpid()}"
        shutil.copy(ours, building)
        building.replace(theirs)


def run_job(
    name: str,
    *,
    wave: str | None = None,
    config: Mapping[str, Mapping[str, Any]] | None = None,
    assets: Sequence[str] | None = None,
) -> FinishedRun:
    """Run a job, or only the given assets of it, to its end; `config` maps asset names to their configuration.

    A job over partitioned assets needs a `wave`. Raise Interrupted if a person interrupts it.
    """
    import dagster as dg

    # Dagster warns of preview features that we use; whoever runs the command can do nothing about it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from remediation_assets.definitions import defs
        from remediation_assets.orchestration.checks import success_rate_gate

        with _open_instance() as instance:
            if wave:
                # The ledger decides which waves exist, and Dagster may not have heard of this one.
                instance.add_dynamic_partitions("wave", [wave])
            result = defs.resolve_job_def(name).execute_in_process(
                instance=instance,
                partition_key=wave,
                run_config={
                    **_QUIET,
                    "ops": {asset: {"config": dict(c)} for asset, c in (config or {}).items()},
                },
                asset_selection=[dg.AssetKey(asset) for asset in assets] if assets else None,
                # Our message says what went wrong; the stack trace is in the log of the run.
                raise_on_error=False,
            )
    failures = [event for event in result.all_events if event.is_step_failure]
    if any(_is_interruption(event) for event in failures):
        raise Interrupted(
            "Stopped waiting. Sessions that were started continue at Devin: `remediate status` shows them, "
            "`remediate run FILE` follows them again."
            if wave
            else "Interrupted. Nothing was started; run the command again to go on."
        )
    return FinishedRun(
        run_id=result.run_id,
        succeeded=result.success,
        only_gate_failed=[event.step_key for event in failures] == [success_rate_gate.node_def.name],
        reason="" if result.success else _reason(failures),
        error=next(filter(None, map(_error_kind, failures)), ""),
    )


def report_dead_runs(settings: Settings) -> list[str]:
    """Report to Dagster as failed the runs whose process is gone; return a message for each.

    A run has a lock file as long as it is under way. If there is no lock file, no run has died, and Dagster is not
    imported at all.
    """
    if not is_used(settings.home):
        return []
    if not any((settings.data_dir / "runs").glob("*.lock")):
        return []
    prepare_dagster_home(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from remediation_assets.orchestration import run_liveness

        with _open_instance() as instance:
            return run_liveness.report_dead_runs(instance, settings.data_dir)


def forget_materializations() -> None:
    """Delete all wave partitions and materializations from Dagster, but keep the record of runs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from remediation_assets.definitions import defs

    with _open_instance() as instance:
        instance.wipe_assets(list(defs.resolve_asset_graph().get_all_asset_keys()))
        for wave in instance.get_dynamic_partitions("wave"):
            instance.delete_dynamic_partition("wave", wave)


@contextmanager
def _open_instance() -> "Iterator[dg.DagsterInstance]":
    import dagster as dg
    from dagster._core.instance.ref import InstanceRef

    # Dagster creates its databases at the first use, and fails if two processes do so at once.
    with held(Path(os.environ["DAGSTER_HOME"]) / "instance.lock", timeout=60):
        try:
            instance = dg.DagsterInstance.from_ref(
                InstanceRef.from_dir(os.environ["DAGSTER_HOME"], overrides=_WITHOUT_CAPTURED_OUTPUT)
            )
            # The first query of each storage creates its database.
            instance.get_runs_count()
            instance.get_dynamic_partitions("wave")
        except Exception as error:  # whatever its storage or the YAML reader may raise
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise NoDagsterHome(
                f"Dagster cannot use its home {os.environ['DAGSTER_HOME']} ({reason}); "
                "correct its dagster.yaml and permissions, or set DAGSTER_HOME to another folder."
            ) from None
    with instance:
        yield instance


def _is_interruption(event: "dg.DagsterEvent") -> bool:
    import dagster as dg

    error = event.step_failure_data.error
    cause = (error.cause or error) if error else None
    return cause is not None and cause.cls_name == dg.DagsterExecutionInterruptedError.__name__


def _error_kind(event: "dg.DagsterEvent") -> str:
    from remediation_assets.orchestration.resources import ERROR_KIND

    data = event.step_failure_data.user_failure_data
    kind = data.metadata.get(ERROR_KIND) if data else None
    return str(kind.value) if kind else ""


def _reason(failures: "Sequence[dg.DagsterEvent]") -> str:
    for event in failures:
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            return data.user_failure_data.description
        if data.error:
            # The error of Dagster wraps the one that the asset raised.
            return (data.error.cause or data.error).message.strip()
    return "the run failed; its log in the Dagster UI says why"
