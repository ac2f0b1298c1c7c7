"""One way from a findings file to planned waves, in a process of its own: `python -m ... WAY FILE FOLDER`.

Prints a line of JSON with the seconds of each part and the peak memory of the process in MB.
"""

import csv
import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def pipeline(source: Path, folder: Path) -> dict[str, float]:
    """Run the job `plan_waves`, publishing included; then the same content again."""
    os.environ |= {"DAGSTER_HOME": str(folder), "PUBLISH_INTERVAL_SECONDS": "0", "WAVE_SIZE": "100"}
    begun = time.perf_counter()
    import dagster as dg

    from remediation_assets.definitions import defs

    found = {"imports": time.perf_counter() - begun}
    for name in ("first", "again"):
        begun = time.perf_counter()
        with dg.DagsterInstance.ephemeral() as instance:
            result = defs.resolve_job_def("plan_waves").execute_in_process(
                instance=instance,
                run_config={
                    "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                    "ops": {"findings": {"config": {"path": str(source)}}},
                },
            )
        found[name] = time.perf_counter() - begun
        for event in result.all_events:
            if event.is_step_success and event.step_key:
                milliseconds = event.step_success_data.duration_ms
                found[f"{name} {event.step_key}"] = milliseconds / 1000
    return found | looking()


def looking() -> dict[str, float]:
    """Plan one wave's sessions, and look at everything as `remediate status` does."""
    from remediation_assets.connect import open_ledger
    from remediation_assets.planning.playbooks import read_playbooks
    from remediation_assets.planning.wave_plan import plan_sessions
    from remediation_assets.reports.waves import totals, waves_around_the_work
    from remediation_assets.settings import load_settings

    ledger = open_ledger(load_settings())
    ledger_id, playbooks = ledger.ledger_id, read_playbooks()
    planning, status = [], []
    for _ in range(3):
        begun = time.perf_counter()
        with ledger.transaction() as tx:
            plan_sessions(tx, "wave-0001", playbooks, ledger_id=ledger_id)
        planning.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        with ledger.published() as connection:
            waves_around_the_work(connection)
            totals(connection)
        status.append(time.perf_counter() - begun)
    return {"wave_plan": min(planning), "status": min(status)}


def floor(source: Path, folder: Path) -> dict[str, float]:
    """Read the file into one table of texts."""
    import duckdb

    begun = time.perf_counter()
    with duckdb.connect(str(folder / "floor.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT * FROM read_csv(?, all_varchar = true)", [str(source)])
    return {"first": time.perf_counter() - begun}


def plain_python(source: Path, _folder: Path) -> dict[str, float]:
    """Do the same row by row: a model for each row, a dict of the best, a sort, a list for each wave."""
    from pydantic import ValidationError

    from remediation_assets.findings.rank import CATEGORY_WEIGHTS, SEVERITY_WEIGHTS
    from remediation_assets.models import Finding, Severity

    order = {severity: rank for rank, severity in enumerate(Severity)}
    begun = time.perf_counter()
    kept: dict[tuple[Any, ...], Finding] = {}
    rejected = []
    with source.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            row.pop("scanner_note")
            try:
                finding = Finding.model_validate({name: value for name, value in row.items() if value})
            except ValidationError as error:
                rejected.append((row, str(error)))
                continue
            key = (
                *(finding.repo_url, finding.service_name, finding.category, finding.file_path),
                *(finding.line_number, finding.dependency_name, finding.fixed_version),
            )
            there = kept.get(key)
            if there is None or order[finding.severity] < order[there.severity]:
                kept[key] = finding
    scored = [
        (-(SEVERITY_WEIGHTS[finding.severity] + CATEGORY_WEIGHTS[finding.category] + 10), place, finding)
        for place, finding in enumerate(kept.values())
    ]
    scored.sort(key=lambda one: one[:2])
    waves = [scored[at : at + 100] for at in range(0, len(scored), 100)]
    assert waves
    assert rejected
    return {"first": time.perf_counter() - begun}


def main(way: str, source: Path, folder: Path) -> None:
    found = {"pipeline": pipeline, "floor": floor, "plain_python": plain_python}[way](source, folder)
    print(json.dumps(found | {"peak MB": peak_mb()}))


def peak_mb() -> float:
    """Return the peak memory of this process; `getrusage` would include that of the process that started it."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
