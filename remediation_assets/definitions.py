"""The front door: the one Definitions object that Dagster loads, and the only place that wires."""

import dagster as dg

from remediation_assets.orchestration.assets.findings import findings, normalized_findings, prioritized_findings
from remediation_assets.orchestration.assets.results import session_results
from remediation_assets.orchestration.assets.sessions import devin_sessions
from remediation_assets.orchestration.assets.waves import wave_plan, waves
from remediation_assets.orchestration.checks import success_rate_gate
from remediation_assets.orchestration.jobs import collect_wave, dispatch_wave, plan_waves, remediate_wave
from remediation_assets.orchestration.resources import Pipeline
from remediation_assets.orchestration.sensors.devin_sessions import devin_session_sensor
from remediation_assets.orchestration.sensors.findings_file import findings_file_sensor
from remediation_assets.orchestration.sensors.next_wave import next_wave_sensor

defs = dg.Definitions(
    assets=[
        findings,
        normalized_findings,
        prioritized_findings,
        waves,
        wave_plan,
        devin_sessions,
        session_results,
    ],
    asset_checks=[success_rate_gate],
    jobs=[plan_waves, remediate_wave, dispatch_wave, collect_wave],
    sensors=[devin_session_sensor, next_wave_sensor, findings_file_sensor],
    resources={"pipeline": Pipeline()},
    # One process per run: the steps run one after the other anyway, and each process costs seconds.
    executor=dg.in_process_executor,
)
