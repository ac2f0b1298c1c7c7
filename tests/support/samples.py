"""Small findings files, and the way from a file to planned waves."""

import csv
from pathlib import Path

from remediation_assets.findings.intake.ingest import ingest, staging_databases
from remediation_assets.findings.intake.stage import StagedScan, stage
from remediation_assets.findings.intake.validate import Rules
from remediation_assets.findings.rank import normalize, prioritize
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.planning.playbooks import read_playbooks
from remediation_assets.planning.wave_plan import plan_sessions
from remediation_assets.planning.waves import Plan, plan_waves
from remediation_assets.settings import Settings
from tests.support.clock import NOON

REPOSITORY = "https://git.example.com/acme/shop"


def row(number: int, **changes: str) -> dict[str, str]:
    """Return the fields of finding F-<number>; all have the same score, so that file order is rank."""
    return {
        "finding_id": f"F-{number}",
        "scanner": "Semgrep",
        "category": "xss",
        "severity": "high",
        "title": f"Finding {number}",
        "description": "A weakness.",
        "service_name": "shop",
        "repo_url": REPOSITORY,
        "file_path": "src/app.ts",
        "line_number": str(number),
    } | changes


def rows(count: int) -> list[dict[str, str]]:
    return [row(number) for number in range(1, count + 1)]


def write(path: Path, fields: list[dict[str, str]]) -> Path:
    """Write a findings file with the columns that any of the rows has."""
    columns = list(dict.fromkeys(name for one in fields for name in one))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(fields)
    return path


def ingest_file(ledger: Ledger, source: Path, *, max_rejected_share: float = 0.5) -> StagedScan:
    """Read a file, even if the ledger has read it before."""
    with ledger.staging() as folder:
        scan = stage(source, folder / "staging.duckdb", Rules(allow_reserved_hosts=True))
        with ledger.transaction(attach=staging_databases([scan])) as tx:
            ingest(tx, [scan], max_rejected_share=max_rejected_share, now=NOON)
    return scan


def rank(ledger: Ledger, settings: Settings) -> None:
    with ledger.transaction() as tx:
        normalize(tx)
        prioritize(tx, settings.service_weights)


def plan(ledger: Ledger, settings: Settings) -> Plan:
    """Cut the ranked findings into waves and plan the sessions of each."""
    ledger_id = ledger.ledger_id
    playbooks = read_playbooks()
    with ledger.transaction() as tx:
        planned = plan_waves(tx, wave_size=settings.wave_size, now=NOON)
        for wave in planned.waves:
            plan_sessions(tx, wave, playbooks, ledger_id=ledger_id)
    return planned
