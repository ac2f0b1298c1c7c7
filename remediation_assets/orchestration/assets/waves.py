"""The assets that plan: which findings go into which wave, and the prompt of each session."""

import dagster as dg

from remediation_assets.errors import RemediationError
from remediation_assets.orchestration.metadata import OWNERS, wave_plan_metadata, waves_metadata
from remediation_assets.orchestration.resources import Pipeline, as_dagster_failure
from remediation_assets.orchestration.run_liveness import UNFINISHED
from remediation_assets.planning.order import Choice, requested_choice
from remediation_assets.planning.playbooks import read_playbooks
from remediation_assets.planning.wave_plan import find_wave, plan_sessions
from remediation_assets.planning.waves import plan_waves

from .findings import prioritized_findings

wave_partitions = dg.DynamicPartitionsDefinition(name="wave")


# With the docstrings of its fields as their descriptions, which the UI shows beside the run configuration.
class WavesConfig(dg.Config, use_attribute_docstrings=True):
    """How to cut the waves, and which findings come first."""

    wave_size: int | None = None
    """Findings per wave; WAVE_SIZE by default."""

    services: list[str] = []  # noqa: RUF012 - Dagster's Config copies it, as Pydantic does
    """Findings of these services come first, in waves of their own; this and the next two choose together."""

    categories: list[str] = []  # noqa: RUF012
    """Findings of these categories come first, such as sql_injection."""

    severities: list[str] = []  # noqa: RUF012
    """Findings of these severities come first: critical, high, medium, low."""

    all: bool = False
    """End the choice made last, which stands until another is made: the best scores come first again."""

    def choice(self) -> Choice | None:
        """Return what is chosen here; None if nothing is, which keeps the last choice."""
        return requested_choice(self.services, self.categories, self.severities, all_findings=self.all)


@dg.asset(group_name="planning", kinds={"duckdb", "sql"}, owners=OWNERS, deps=[prioritized_findings])
def waves(context: dg.AssetExecutionContext, config: WavesConfig, pipeline: Pipeline) -> dg.MaterializeResult[None]:
    """One row per wave: every finding that needs work is in exactly one, best score first.

    Chosen findings come first, in waves of their own. Waves that have started are frozen; the rest is cut again.
    Registers the `wave` partitions.
    """
    with as_dagster_failure():
        ledger = pipeline.ledger
        with ledger.transaction() as tx:
            size = config.wave_size or pipeline.settings.wave_size
            plan = plan_waves(tx, wave_size=size, now=tx.now, choice=config.choice())
            metadata = waves_metadata(tx, plan)
        ledger.publish(force=True)
    # After the ledger has the waves: Dagster must not offer one that is not planned.
    context.instance.add_dynamic_partitions(wave_partitions.name or "wave", list(plan.waves))
    if kept := _remove_partitions(context, set(plan.waves)):
        metadata["kept for a run in progress"] = ", ".join(kept)
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    group_name="planning", kinds={"duckdb", "python"}, owners=OWNERS, deps=[waves], partitions_def=wave_partitions
)
def wave_plan(context: dg.AssetExecutionContext, pipeline: Pipeline) -> dg.MaterializeResult[None]:
    """One row per finding of the wave: its playbook and the prompt that its session will get."""
    with as_dagster_failure():
        wave = wave_of(context)
        ledger = pipeline.ledger
        with ledger.transaction() as tx:
            # Raises if there is no such wave, before it becomes a partition.
            find_wave(tx, wave)
        register_partition(context)
        with ledger.transaction() as tx:
            count = plan_sessions(tx, wave, read_playbooks(), ledger_id=ledger.ledger_id)
            metadata = wave_plan_metadata(tx, wave, count)
        ledger.publish(force=True)
    return dg.MaterializeResult(metadata=metadata)


class NoPartition(RemediationError):
    """A run of a partitioned asset names no wave; the message says how to name one."""


def wave_of(context: dg.AssetExecutionContext) -> str:
    """Return the wave of the run; raise NoPartition if the run has none."""
    if not context.has_partition_key:
        raise NoPartition(
            "The run names no wave; launch it for a partition, in a shell with "
            """--tags '{"dagster/partition": "wave-0001"}'."""
        )
    return str(context.partition_key)


def register_partition(context: dg.AssetExecutionContext) -> None:
    """Register the run's wave with Dagster; a home created after the ledger does not know the ledger's waves yet."""
    context.instance.add_dynamic_partitions(wave_partitions.name or "wave", [context.partition_key])


def _remove_partitions(context: dg.AssetExecutionContext, existing: set[str]) -> list[str]:
    """Remove the partitions of waves that no longer exist; return those that are kept because a run needs them."""
    name = wave_partitions.name or "wave"
    obsolete = set(context.instance.get_dynamic_partitions(name)) - existing
    kept = []
    for wave in sorted(obsolete):
        runs = context.instance.get_runs(dg.RunsFilter(tags={"dagster/partition": wave}, statuses=UNFINISHED), limit=1)
        if runs:
            kept.append(wave)
        else:
            context.instance.delete_dynamic_partition(name, wave)
    return kept
