"""What would be sent next for one finding: for people who want to see it before it costs anything."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from duckdb import DuckDBPyConnection

from remediation_assets.errors import RemediationError
from remediation_assets.models import FindingCategory, Outcome
from remediation_assets.planning.playbooks import PlaybookText
from remediation_assets.planning.wave_plan import plan_sessions
from remediation_assets.planning.waves import wave_name
from remediation_assets.settings import Settings

from .requests import new_request


class NothingToSend(RemediationError):
    """A finding for which no session would be started; the text says why."""


@dataclass(frozen=True)
class NextRequest:
    """What would be sent for a finding, and the playbook that goes with it."""

    wave: str
    playbook: PlaybookText
    request: dict[str, Any]


def next_request(
    tx: DuckDBPyConnection,
    name: str,
    playbooks: Mapping[FindingCategory, PlaybookText],
    ledger_id: str,
    settings: Settings,
    draw_delimiter: Callable[[], str],
) -> NextRequest:
    """Build what would be sent next for a finding, named by its id or its key; raises NothingToSend.

    Plans the finding's wave, as every dispatch does before; sends nothing.
    """
    finding_key, wave_number = _find(tx, name)
    wave = wave_name(wave_number)
    plan_sessions(tx, wave, playbooks, ledger_id=ledger_id, draw_delimiter=draw_delimiter)
    last = tx.execute(
        """
        SELECT a.attempt, a.outcome, a.claimed_at IS NOT NULL, a.session_url, a.request,
            a.playbook, a.playbook_version, r.settled_at IS NOT NULL
        FROM attempts a JOIN rounds r ON r.wave_number = a.wave_number AND r.round = a.round
        WHERE a.finding_key = ? ORDER BY a.attempt DESC LIMIT 1
        """,
        [finding_key],
    ).fetchone()
    number, outcome, claimed, url, stored, playbook_name, version, settled = last or (0, None, False, *[None] * 5)
    if outcome == Outcome.SUCCESS:
        raise NothingToSend(f"{name} has succeeded with attempt {number}; nothing is sent for it any more.")
    if claimed and outcome is None:
        raise NothingToSend(f"{name} is at work with attempt {number} ({url or 'its session is not known yet'}).")
    waits = last is not None and outcome is None
    if last is None or (settled and not waits):
        # A first round, or a later one, which takes the playbooks as they stand.
        playbook = _planned_playbook(tx, finding_key, wave_number, playbooks)
    else:
        playbook = _version(tx, playbook_name, version)
    uploaded = tx.execute(
        "SELECT playbook_id FROM playbook_versions WHERE playbook = ? AND playbook_version = ?",
        [playbook.name, playbook.version],
    ).fetchone()
    request = (
        dict(json.loads(stored))
        if waits and stored
        else new_request(
            tx,
            finding_key,
            number if waits else number + 1,
            wave_number,
            uploaded[0] if uploaded else None,
            ledger_id,
            settings,
            draw_delimiter,
        )
    )
    return NextRequest(wave, playbook, request)


def _find(tx: DuckDBPyConnection, name: str) -> tuple[str, int]:
    """Find a planned finding's key and wave by its id or its key."""
    found = tx.execute(
        """
        SELECT finding_key, max(wave_number) FROM (
            SELECT finding_key, wave_number FROM wave_findings
            UNION ALL SELECT finding_key, wave_number FROM wave_plan)
        WHERE finding_key = $name OR finding_key IN (
            SELECT finding_key FROM findings WHERE finding_id = $name
            UNION SELECT finding_key FROM wave_plan WHERE finding_id = $name)
        GROUP BY finding_key ORDER BY finding_key
        """,
        {"name": name},
    ).fetchall()
    if not found:
        raise NothingToSend(f"No planned finding has the id or key {name!r}; prioritized_findings lists those known.")
    if len(found) > 1:
        keys = ", ".join(key for key, _ in found[:10])
        raise NothingToSend(f"{len(found)} findings have the id {name!r}; name one of them by its key: {keys}.")
    [(finding_key, wave_number)] = found
    return finding_key, wave_number


def _planned_playbook(
    tx: DuckDBPyConnection, finding_key: str, wave_number: int, playbooks: Mapping[FindingCategory, PlaybookText]
) -> PlaybookText:
    [(category,)] = tx.execute(
        "SELECT category FROM wave_plan WHERE finding_key = ? AND wave_number = ?", [finding_key, wave_number]
    ).fetchall()
    return playbooks[FindingCategory(category)]


def _version(tx: DuckDBPyConnection, name: str, version: str) -> PlaybookText:
    [(body,)] = tx.execute(
        "SELECT body FROM playbook_versions WHERE playbook = ? AND playbook_version = ?", [name, version]
    ).fetchall()
    return PlaybookText(name, body)
