"""What would be sent next for one finding: for people who want to see it before it costs anything."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from duckdb import DuckDBPyConnection

from remediation_assets.errors import RemediationError
from remediation_assets.models import FindingCategory, Outcome
from remediation_assets.planning.playbooks import PlaybookText
from remediation_assets.planning.wave_plan import plan_sessions
from remediation_assets.planning.waves import wave_name
from remediation_assets.settings import Settings

from .attempts import Attempt, load_attempts
from .requests import build_request, new_request
from .reviewing import reopened_attempts
from .settling import may_be_retried


class NothingToSend(RemediationError):
    """A finding for which no session would be started; the text says why."""


@dataclass(frozen=True)
class NextRequest:
    """What would be sent for a finding and when, and the playbook that goes with it."""

    wave: str
    when: str
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
    attempts = load_attempts(tx, "a.finding_key = ?", [finding_key])
    last = max(attempts, key=lambda attempt: attempt.attempt, default=None)
    reopened = reopened_attempts(tx, finding_key)
    if any(attempt.outcome is Outcome.SUCCESS and attempt.attempt not in reopened for attempt in attempts):
        raise NothingToSend(f"{name} has succeeded; nothing is sent for it any more unless it is reopened.")
    if last and last.outcome is None:
        if last.claimed_at:
            raise NothingToSend(f"{name} is at work with attempt {last.attempt}; `remediate status` tells how far.")
        request = build_request(tx, last, ledger_id, settings, draw_delimiter)
        return NextRequest(wave, "as soon as a slot is free", _playbook_of(tx, last), request)
    retry = last if last and _may_be_retried_in_its_round(tx, last, attempts, settings.max_retries) else None
    when = "in this round, if its first attempts pass the gate" if retry else f"with the next round of {wave}"
    playbook = _playbook_of(tx, retry) if retry else _planned_playbook(tx, finding_key, wave_number, playbooks)
    uploaded = tx.execute(
        "SELECT playbook_id FROM playbook_versions WHERE playbook = ? AND playbook_version = ?",
        [playbook.name, playbook.version],
    ).fetchone()
    request = new_request(
        tx,
        finding_key,
        last.attempt + 1 if last else 1,
        wave_number,
        uploaded[0] if uploaded else None,
        ledger_id,
        settings,
        draw_delimiter,
    )
    return NextRequest(wave, when, playbook, request)


def _may_be_retried_in_its_round(
    tx: DuckDBPyConnection, last: Attempt, attempts: Sequence[Attempt], max_retries: int
) -> bool:
    [(is_open,)] = tx.execute(
        "SELECT settled_at IS NULL AND stopped_at IS NULL FROM rounds WHERE wave_number = ? AND round = ?",
        [last.wave_number, last.round],
    ).fetchall()
    return is_open and may_be_retried([attempt for attempt in attempts if attempt.round == last.round], max_retries)


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


def _playbook_of(tx: DuckDBPyConnection, attempt: Attempt) -> PlaybookText:
    [(name, body)] = tx.execute(
        """
        SELECT v.playbook, v.body FROM attempts a JOIN playbook_versions v USING (playbook, playbook_version)
        WHERE a.finding_key = ? AND a.attempt = ?
        """,
        [attempt.finding_key, attempt.attempt],
    ).fetchall()
    return PlaybookText(name, body)
