"""The front door: the one Definitions object that Dagster loads, and the only place that wires."""

import dagster as dg

from remediation_assets.orchestration.checks import success_rate_gate
from remediation_assets.orchestration.jobs import ASSETS, JOBS
from remediation_assets.orchestration.resources import Pipeline
from remediation_assets.orchestration.sensors.devin_sessions import devin_session_sensor
from remediation_assets.orchestration.sensors.findings_file import findings_file_sensor
from remediation_assets.orchestration.sensors.next_wave import next_wave_sensor

defs = dg.Definitions(
    assets=ASSETS,
    asset_checks=[success_rate_gate],
    jobs=JOBS,
    sensors=[devin_session_sensor, next_wave_sensor, findings_file_sensor],
    resources={"pipeline": Pipeline()},
    # One process per run: the steps run one after the other anyway, and each process costs seconds.
    executor=dg.in_process_executor,
)
