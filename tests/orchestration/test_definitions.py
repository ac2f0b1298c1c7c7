"""What Dagster loads: the graph as people know it, and nothing that spends by itself."""

import dagster as dg
import pytest

from remediation_assets.definitions import defs
from remediation_assets.orchestration.assets.findings import FindingsConfig
from remediation_assets.orchestration.assets.sessions import DispatchConfig
from remediation_assets.orchestration.assets.waves import WavesConfig

GRAPH = """
findings             [findings]  ()  <- -
normalized_findings  [findings]  ()  <- findings
prioritized_findings [findings]  ()  <- normalized_findings
waves                [planning]  ()  <- prioritized_findings
wave_plan            [planning]  (wave)  <- waves
devin_sessions       [sessions]  (wave)  <- wave_plan
session_results      [sessions]  (wave)  <- devin_sessions
"""


def test_the_definitions_load() -> None:
    dg.Definitions.validate_loadable(defs)


def test_the_asset_graph_is_as_documented() -> None:
    graph = defs.resolve_asset_graph()
    lines = []
    for key in graph.toposorted_asset_keys:
        node = graph.get(key)
        partitions = getattr(node.partitions_def, "name", None) or ""
        parents = ", ".join(parent.to_user_string() for parent in node.parent_keys) or "-"
        lines.append(f"{key.to_user_string():<20} [{node.group_name}]  ({partitions})  <- {parents}")
    assert "\n".join(lines) == GRAPH.strip()


def test_jobs_and_sensors_keep_their_names() -> None:
    jobs = {job.name for job in defs.resolve_all_job_defs()} - {"__ASSET_JOB"}
    assert jobs == {"plan_waves", "remediate_wave", "dispatch_wave", "collect_wave"}
    sensors = {sensor.name: sensor for sensor in defs.sensors or [] if isinstance(sensor, dg.SensorDefinition)}
    on = {name: sensor.default_status is dg.DefaultSensorStatus.RUNNING for name, sensor in sensors.items()}
    # What spends or plans by itself is off until a person turns it on.
    assert on == {"devin_session_sensor": True, "next_wave_sensor": False, "findings_file_sensor": False}


def test_no_asset_materializes_by_itself() -> None:
    graph = defs.resolve_asset_graph()
    assert all(graph.get(key).automation_condition is None for key in graph.get_all_asset_keys())


def test_every_asset_says_what_one_row_is() -> None:
    graph = defs.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        assert (graph.get(key).description or "").startswith("One row per"), key


@pytest.mark.parametrize("config", [FindingsConfig, WavesConfig, DispatchConfig])
def test_every_field_of_a_run_configuration_has_a_description(config: type[dg.Config]) -> None:
    fields = config.to_config_schema().as_field().config_type.fields  # type: ignore[attr-defined]
    assert [name for name, field in fields.items() if not field.description] == []


def test_the_gate_is_a_blocking_check_of_each_wave() -> None:
    (check,) = defs.asset_checks or []
    assert isinstance(check, dg.AssetChecksDefinition)
    (spec,) = check.check_specs
    assert spec.blocking
    assert spec.partitions_def == dg.DynamicPartitionsDefinition(name="wave")
    assert spec.asset_key == dg.AssetKey("session_results")
