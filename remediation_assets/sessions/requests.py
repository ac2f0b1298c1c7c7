"""What is sent to start an attempt's session."""

import json
from collections.abc import Callable
from typing import Any

from duckdb import DuckDBPyConnection

from remediation_assets.planning.prompts import build_remediation_prompt, safe_id
from remediation_assets.planning.wave_plan import finding_of
from remediation_assets.planning.waves import wave_name
from remediation_assets.settings import Settings

from .attempts import Attempt, ledger_tag, wave_tag


def build_request(
    tx: DuckDBPyConnection,
    attempt: Attempt,
    ledger_id: str,
    settings: Settings,
    draw_delimiter: Callable[[], str],
) -> dict[str, Any]:
    """Build what is sent for an attempt; a second sending of it sends the same."""
    stored = tx.execute(
        "SELECT request FROM attempts WHERE finding_key = ? AND attempt = ?",
        [attempt.finding_key, attempt.attempt],
    ).fetchone()
    if stored and stored[0]:
        return dict(json.loads(stored[0]))
    cursor = tx.execute(
        "SELECT * FROM wave_plan WHERE finding_key = ? AND wave_number = ?",
        [attempt.finding_key, attempt.wave_number],
    )
    names = [column[0] for column in cursor.description or ()]
    plan = dict(zip(names, cursor.fetchone() or (), strict=True))
    row = tx.execute(
        """
        SELECT v.playbook_id,
            (SELECT e.error_message FROM attempts e WHERE e.finding_key = a.finding_key AND e.attempt = a.attempt - 1)
        FROM attempts a
        JOIN playbook_versions v ON v.playbook = a.playbook AND v.playbook_version = a.playbook_version
        WHERE a.finding_key = ? AND a.attempt = ?
        """,
        [attempt.finding_key, attempt.attempt],
    ).fetchone()
    playbook_id, last_failure = row or (None, None)
    finding = finding_of(plan)
    name = safe_id(finding, attempt.finding_key)
    return {
        "prompt": build_remediation_prompt(
            finding,
            finding_key=attempt.finding_key,
            ledger_id=ledger_id,
            attempt=attempt.attempt,
            delimiter=draw_delimiter(),
            last_failure=last_failure,
        ),
        "title": f"Remediate {name} (attempt {attempt.attempt})",
        "tags": [
            ledger_tag(ledger_id),
            wave_tag(ledger_id, wave_name(attempt.wave_number)),
            f"finding-{name}",
            attempt.tag,
        ],
        "playbook_id": playbook_id,
        "repos": [_repository(finding.repo_url)],
        "secret_ids": list(settings.devin_secret_ids),
        "knowledge_ids": list(settings.devin_knowledge_ids),
        "max_acu_limit": settings.max_acu_per_session,
    }


def _repository(repo_url: str) -> str:
    return repo_url.split("://", 1)[-1].split("/", 1)[-1]
