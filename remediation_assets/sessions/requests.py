"""What is sent to start an attempt's session."""

import json
from collections.abc import Callable
from typing import Any

from duckdb import DuckDBPyConnection

from remediation_assets.planning.prompts import build_remediation_prompt, safe_id
from remediation_assets.planning.wave_plan import finding_of
from remediation_assets.planning.waves import wave_name
from remediation_assets.settings import Settings

from .attempts import RETRIABLE, Attempt, attempt_tag, ledger_tag, wave_tag
from .reviewing import why_rejected


def build_request(
    tx: DuckDBPyConnection,
    attempt: Attempt,
    ledger_id: str,
    settings: Settings,
    draw_delimiter: Callable[[], str],
) -> dict[str, Any]:
    """Build what is sent for an attempt; a second sending of it sends the same."""
    row = tx.execute(
        """
        SELECT a.request, v.playbook_id
        FROM attempts a
        JOIN playbook_versions v ON v.playbook = a.playbook AND v.playbook_version = a.playbook_version
        WHERE a.finding_key = ? AND a.attempt = ?
        """,
        [attempt.finding_key, attempt.attempt],
    ).fetchone()
    stored, playbook_id = row or (None, None)
    if stored:
        return dict(json.loads(stored))
    return new_request(
        tx,
        attempt.finding_key,
        attempt.attempt,
        attempt.wave_number,
        playbook_id,
        ledger_id,
        settings,
        draw_delimiter,
    )


def new_request(
    tx: DuckDBPyConnection,
    finding_key: str,
    number: int,
    wave_number: int,
    playbook_id: str | None,
    ledger_id: str,
    settings: Settings,
    draw_delimiter: Callable[[], str],
) -> dict[str, Any]:
    """Build what is sent for an attempt that nothing was ever sent for, from its finding's plan."""
    cursor = tx.execute("SELECT * FROM wave_plan WHERE finding_key = ? AND wave_number = ?", [finding_key, wave_number])
    names = [column[0] for column in cursor.description or ()]
    finding = finding_of(dict(zip(names, cursor.fetchone() or (), strict=True)))
    before = tx.execute(
        """
        SELECT error_message FROM attempts
        WHERE finding_key = ? AND attempt < ? AND list_contains(?, outcome) ORDER BY attempt DESC LIMIT 1
        """,
        [finding_key, number, list(RETRIABLE)],
    ).fetchone()
    shown_id = safe_id(finding, finding_key)
    return {
        "prompt": build_remediation_prompt(
            finding,
            finding_key=finding_key,
            ledger_id=ledger_id,
            attempt=number,
            delimiter=draw_delimiter(),
            last_failure=_what_went_wrong(why_rejected(tx, finding_key, number), before[0] if before else None),
        ),
        "title": f"Remediate {shown_id} (attempt {number})",
        "tags": [
            ledger_tag(ledger_id),
            wave_tag(ledger_id, wave_name(wave_number)),
            f"finding-{shown_id}",
            attempt_tag(finding_key, number),
        ],
        "playbook_id": playbook_id,
        "repos": [_repository(finding.repo_url)],
        "secret_ids": list(settings.devin_secret_ids),
        "knowledge_ids": list(settings.devin_knowledge_ids),
        "max_acu_limit": settings.max_acu_per_session,
    }


def _what_went_wrong(rejected: str | None, failed: str | None) -> str | None:
    return " ".join(filter(None, (rejected, failed))) or None


def _repository(repo_url: str) -> str:
    return repo_url.split("://", 1)[-1].split("/", 1)[-1]
