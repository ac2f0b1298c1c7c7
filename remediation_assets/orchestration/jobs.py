"""The jobs, and the lists of all our assets and jobs. A job's name is an interface: CI and people launch it by name."""

import dagster as dg

from remediation_assets.orchestration.assets.findings import findings, normalized_findings, prioritized_findings
from remediation_assets.orchestration.assets.results import session_results
from remediation_assets.orchestration.assets.sessions import devin_sessions
from remediation_assets.orchestration.assets.waves import wave_plan, waves

ASSETS = [findings, normalized_findings, prioritized_findings, waves, wave_plan, devin_sessions, session_results]

plan_waves = dg.define_asset_job(
    "plan_waves",
    # Without wave_plan, which is partitioned by the waves that this job creates.
    selection=dg.AssetSelection.assets(findings, normalized_findings, prioritized_findings, waves),
    description="Read the findings file, rank the findings and cut them into waves. Spends nothing.",
)
remediate_wave = dg.define_asset_job(
    "remediate_wave",
    selection=dg.AssetSelection.assets(wave_plan, devin_sessions, session_results),
    description="Run one wave from its plan to its gate and wait for its sessions. Fails if the gate does.",
)
dispatch_wave = dg.define_asset_job(
    "dispatch_wave",
    selection=dg.AssetSelection.assets(wave_plan, devin_sessions),
    description="Start one wave; devin_session_sensor follows it.",
)
collect_wave = dg.define_asset_job(
    "collect_wave",
    selection=dg.AssetSelection.assets(session_results),
    description="Collect one wave's results and evaluate its gate; waits until the wave has settled.",
)

JOBS = [plan_waves, remediate_wave, dispatch_wave, collect_wave]
