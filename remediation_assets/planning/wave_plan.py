"""The plan of one wave: the playbook and the prompt of each of its sessions.

`waves.py` decides which findings are in the wave; `prompts.py` builds the text of a prompt.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remediation_assets.errors import RemediationError
from remediation_assets.ledger.schema import FINDING_COLUMNS
from remediation_assets.ledger.transaction import Reader, Transaction
from remediation_assets.models import Finding, FindingCategory

from .playbooks import PlaybookText
from .prompts import build_remediation_prompt


class UnknownWave(RemediationError):
    """A wave that is not in the plan; the message names the waves that are in the plan."""


class UnknownFinding(RemediationError):
    """No planned finding has the given id or key, or several have the id; the message says which."""


@dataclass(frozen=True)
class PlannedWave:
    """A wave as it is stored in the ledger."""

    wave: str
    wave_number: int
    plan_number: int
    frozen: bool
    chosen: bool


@dataclass(frozen=True)
class _ExistingWaves:
    waves: int
    first: str | None
    last: str | None


def find_wave(tx: Reader, wave: str) -> PlannedWave:
    """Return the wave of this name; raise UnknownWave if the plan has none."""
    found = tx.one_or_none(
        PlannedWave,
        "SELECT wave, wave_number, plan_number, frozen_at IS NOT NULL AS frozen, chosen FROM waves WHERE wave = ?",
        [wave],
    )
    if found is None:
        existing = tx.one(_ExistingWaves, "SELECT count(*) AS waves, min(wave) AS first, max(wave) AS last FROM waves")
        description = (
            f"there are {existing.waves} waves, {existing.first} to {existing.last}"
            if existing.waves > 1
            else f"there is only {existing.first}"
            if existing.waves
            else "nothing is planned yet"
        )
        raise UnknownWave(
            f"{wave} is not a wave of the plan ({description}); "
            + ("name one of its waves." if existing.waves else "plan a findings file first.")
        )
    return found


def plan_sessions(
    tx: Transaction,
    wave: str,
    playbooks: Mapping[FindingCategory, PlaybookText],
    *,
    ledger_id: str,
    draw_delimiter: Callable[[], str] = secrets.token_hex,
) -> int:
    """Write the plan of a wave, one row per finding, and return the number of rows; leave a frozen wave as it is.

    The stored prompt is that of the next attempt except for the delimiter: a new delimiter is drawn when an attempt is
    claimed, so that no finding can contain it.
    """
    planned = find_wave(tx, wave)
    # What was sent stays what the plan shows, even if playbooks or scans have changed since.
    if not planned.frozen:
        _write(tx, planned, playbooks, ledger_id, draw_delimiter)
    return int(tx.scalar("SELECT count(*) FROM wave_plan WHERE wave_number = ?", [planned.wave_number]))


@dataclass(frozen=True)
class PlannedFinding:
    """A finding's key, and the last wave that it is in."""

    finding_key: str
    wave_number: int


def find_finding(tx: Reader, name: str) -> PlannedFinding:
    """Return the planned finding of this id or key; raise UnknownFinding if there is none, or more than one."""
    found = tx.rows(
        PlannedFinding,
        """
        SELECT finding_key, max(wave_number) AS wave_number FROM (
            -- The plan too: a finding of a frozen wave stays in it when the scans no longer report it.
            SELECT finding_key, wave_number FROM wave_findings
            UNION ALL SELECT finding_key, wave_number FROM wave_plan)
        WHERE finding_key = $name OR finding_key IN (
            SELECT finding_key FROM findings WHERE finding_id = $name
            UNION SELECT finding_key FROM wave_plan WHERE finding_id = $name)
        GROUP BY finding_key ORDER BY finding_key
        """,
        {"name": name},
    )
    if not found:
        raise UnknownFinding(f"No planned finding has the id or key {name!r}; prioritized_findings lists those known.")
    # Ids come from scanners, and two may use the same one; only keys are unique.
    if len(found) > 1:
        keys = ", ".join(one.finding_key for one in found[:10])
        raise UnknownFinding(f"{len(found)} findings have the id {name!r}; name one of them by its key: {keys}.")
    return found[0]


def finding_of(row: Mapping[str, Any]) -> Finding:
    """Return the finding in a row; the row must have all columns of a finding."""
    return Finding.model_validate({name: row[name] for name in (*FINDING_COLUMNS, "priority_score")})


def planned_finding(tx: Reader, finding_key: str, wave_number: int) -> Finding:
    """Load a finding from its wave's plan; raise ValueError if the plan does not have it."""
    [row] = tx.records("SELECT * FROM wave_plan WHERE finding_key = ? AND wave_number = ?", [finding_key, wave_number])
    return finding_of(row)


def planned_keys(tx: Reader, wave_number: int) -> list[str]:
    """Load the keys of the findings in a wave's plan."""
    return tx.column("SELECT finding_key FROM wave_plan WHERE wave_number = ?", [wave_number])


def _write(
    tx: Transaction,
    planned: PlannedWave,
    playbooks: Mapping[FindingCategory, PlaybookText],
    ledger_id: str,
    draw_delimiter: Callable[[], str],
) -> None:
    rows = rows_to_plan(tx, [planned.wave_number])
    # Replaced whole: a wave that was cut again may have lost findings.
    tx.execute("DELETE FROM wave_plan WHERE wave_number = ?", [planned.wave_number])
    for row in rows:
        finding = finding_of(row)
        playbook = playbooks[finding.category]
        _remember(tx, playbook)
        prompt = build_remediation_prompt(
            finding,
            finding_key=row["finding_key"],
            ledger_id=ledger_id,
            attempt=row["next_attempt"],
            delimiter=draw_delimiter(),
        )
        values = {
            "wave": planned.wave,
            "wave_number": planned.wave_number,
            "position": row["position"],
            # Compared when a round is opened, which refuses a plan that is older than its wave.
            "plan_number": planned.plan_number,
            "finding_key": row["finding_key"],
            **{name: row[name] for name in (*FINDING_COLUMNS, "priority_score")},
            "playbook": playbook.name,
            "playbook_version": playbook.version,
            "prompt": prompt,
        }
        tx.insert("wave_plan", values)


def rows_to_plan(tx: Reader, wave_numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Load the findings of waves in order, as scans report them now, each with what a plan needs.

    That is its score, the number of its next attempt, and the id of its category's playbook at Devin if there is one.
    """
    return tx.records(
        """
        -- From the few findings of the wave to their rows, step by step: joining the views directly would scan
        -- all findings.
        WITH chosen AS MATERIALIZED (
            SELECT finding_key, wave_number, position FROM wave_findings WHERE list_contains(?, wave_number)),
        kept AS MATERIALIZED (SELECT * EXCLUDE (position) FROM kept_findings SEMI JOIN chosen USING (finding_key)),
        wide AS MATERIALIZED (SELECT * FROM finding_rows WHERE row_number IN (SELECT row_number FROM kept)),
        scores AS MATERIALIZED (
            SELECT finding_key, priority_score FROM finding_scores SEMI JOIN chosen USING (finding_key)),
        tried AS (
            SELECT finding_key, max(attempt) AS attempt FROM attempts SEMI JOIN chosen USING (finding_key)
            -- A pending attempt has not used its number yet: it is the one that this prompt is for.
            WHERE claimed_at IS NOT NULL GROUP BY finding_key),
        playbooks AS (
            SELECT category, arg_max(playbook_id, uploaded_at) AS playbook_id
            FROM category_playbooks JOIN playbook_versions USING (playbook) GROUP BY category)
        SELECT c.wave_number, c.position, f.*, s.priority_score, coalesce(t.attempt, 0) + 1 AS next_attempt,
            b.playbook_id
        FROM chosen c
        JOIN kept k ON k.finding_key = c.finding_key
        JOIN wide f ON f.scan_id = k.scan_id AND f.row_number = k.row_number
        JOIN scores s ON s.finding_key = c.finding_key
        LEFT JOIN tried t ON t.finding_key = c.finding_key
        LEFT JOIN playbooks b ON b.category = f.category
        ORDER BY c.wave_number, c.position
        """,
        [list(wave_numbers)],
    )


def remember_playbooks(tx: Transaction, playbooks: Mapping[FindingCategory, PlaybookText]) -> None:
    """Store the text of every playbook version, so that a result can name the version that it ran with."""
    for playbook in playbooks.values():
        _remember(tx, playbook)


def _remember(tx: Transaction, playbook: PlaybookText) -> None:
    tx.execute(
        """
        INSERT INTO playbook_versions (playbook, playbook_version, title, body)
        SELECT $name, $version, $title, $body
        -- Looked for first: a failed INSERT would poison the whole transaction.
        WHERE NOT EXISTS (
            FROM playbook_versions WHERE playbook = $name AND playbook_version = $version)
        """,
        {"name": playbook.name, "version": playbook.version, "title": playbook.title, "body": playbook.body},
    )
