"""The queries behind the page of one wave, before, during and after its run.

They read the published results and return rows as dictionaries.
"""

import shlex
from dataclasses import dataclass

from remediation_assets.findings.intake.scan import last_request
from remediation_assets.ledger.transaction import Reader
from remediation_assets.planning.output_schema import STAGES_OF_WORK
from remediation_assets.planning.wave_plan import PlannedWave, find_wave
from remediation_assets.planning.waves import wave_of_name
from remediation_assets.sessions.store.rounds import IN_A_SHELL, gate_before, last_round, unfinished_findings

from .details import ATTEMPT_STATUS, Row
from .pages import PAGE, Listing, page_within
from .waves import WaveState, wave_states

MOST_GROUPS = 20
"""Groups of failures that the page shows, those with the most findings."""

MOST_NAMED = 20
"""Findings that the page names of each group."""


@dataclass(frozen=True)
class NextRun:
    """What the command that runs the wave would do now.

    `is_under_way` is whether it continues the last round instead of opening one. `left` counts the findings that a new
    round would take. `refusal` says why a new round would be refused, None if it would not be.
    """

    is_first: bool
    is_under_way: bool
    left: int
    refusal: str | None
    command: str


def wave(reader: Reader, name: str, *, page: int) -> Row:
    """Return everything that the page of a wave shows; raise UnknownWave if the plan has no wave of this name."""
    planned = find_wave(reader, wave_of_name(name) or name)
    [state] = wave_states(reader, first=planned.wave_number, last=planned.wave_number)
    rounds = reader.records("SELECT * FROM gate_results WHERE wave = ? ORDER BY round DESC", [planned.wave])
    return {
        "state": state,
        "findings": _findings(reader, planned, page),
        "rounds": rounds,
        "failures": _failures(reader, planned),
        "stopped": _stopped(reader, planned),
        "stages": _stages(reader, planned),
        "next_run": _next_run(reader, planned, state),
        "neighbours": _neighbours(reader, planned),
    }


def _findings(reader: Reader, planned: PlannedWave, page: int) -> Listing:
    total = reader.scalar("SELECT count(*) FROM planned_findings WHERE wave_number = ?", [planned.wave_number])
    page = page_within(page, total)
    rows = reader.records(
        f"""
        SELECT p.finding_key, p.finding_id, p.title, p.service_name, p.category, p.severity, p.priority_score,
            p.playbook, {ATTEMPT_STATUS} AS status, a.attempt, a.session_id, a.pr_url
        FROM planned_findings p
        LEFT JOIN last_reviewed_attempts a ON a.finding_key = p.finding_key AND a.wave_number = p.wave_number
        WHERE p.wave_number = ?
        ORDER BY p.position LIMIT {PAGE} OFFSET {(page - 1) * PAGE}
        """,
        [planned.wave_number],
    )
    return Listing(rows, total, page)


_GROUPED = f"""
SELECT reason, count(*) AS findings,
    list({{'finding_key': finding_key, 'finding_id': finding_id}} ORDER BY position)[:{MOST_NAMED}] AS named"""


def _failures(reader: Reader, planned: PlannedWave) -> list[Row]:
    """Return the failed findings grouped by their error message, the largest group first."""
    return reader.records(
        f"""
        {_GROUPED} FROM (
            SELECT finding_key, finding_id, position, CASE
                -- The session itself succeeded, so it has no message.
                WHEN outcome = 'success' THEN review || ' in review'
                ELSE coalesce(nullif(trim(error_message), ''), outcome || ' without a message') END AS reason
            FROM session_results WHERE wave_number = ? AND is_failed)
        GROUP BY reason ORDER BY findings DESC, min(position) LIMIT {MOST_GROUPS}
        """,
        [planned.wave_number],
    )


def _stopped(reader: Reader, planned: PlannedWave) -> list[Row]:
    """Return the findings whose last attempt was stopped or vanished, grouped by what happened."""
    return reader.records(
        f"""
        {_GROUPED}, status FROM (
            SELECT finding_key, finding_id, position, coalesce(error_message, '') AS reason,
                CASE outcome WHEN 'cancelled' THEN 'stopped' ELSE outcome END AS status
            FROM session_results WHERE wave_number = ? AND outcome IS NOT NULL AND NOT is_fixed AND NOT is_failed)
        GROUP BY status, reason ORDER BY findings DESC, min(position) LIMIT {MOST_GROUPS}
        """,
        [planned.wave_number],
    )


def _stages(reader: Reader, planned: PlannedWave) -> list[Row]:
    """Return how long the wave's sessions were in each stage at least, in the order of the stages."""
    return reader.records(
        """
        SELECT stage, count(*) AS sessions, median(minutes_at_least) AS minutes, max(minutes_at_least) AS longest
        FROM session_stages WHERE wave = ? GROUP BY stage ORDER BY list_position(?, stage)
        """,
        [planned.wave, list(STAGES_OF_WORK)],
    )


def _next_run(reader: Reader, planned: PlannedWave, state: WaveState) -> NextRun:
    last = last_round(reader, planned.wave_number)
    command = f"remediate run {_file(reader)} --wave {planned.wave}"
    if last and last.collected_at is None:
        return NextRun(is_first=False, is_under_way=True, left=0, refusal=None, command=command)
    # Before the first round there may be no sessions planned yet, and everything is left.
    left = len(unfinished_findings(reader, planned.wave_number)) if last else state.findings
    closed = gate_before(reader, planned) if left else None
    return NextRun(
        is_first=last is None,
        is_under_way=False,
        left=left,
        refusal=closed.sentence(overrule=IN_A_SHELL) if closed else None,
        command=command,
    )


def _file(reader: Reader) -> str:
    """Return the findings file as a shell takes it, FILE unless the waves were planned from exactly one."""
    last = last_request(reader)
    return shlex.quote(str(last.paths[0])) if last and len(last.paths) == 1 else "FILE"


def _neighbours(reader: Reader, planned: PlannedWave) -> Row:
    [row] = reader.records(
        """
        SELECT max_by(wave, wave_number) FILTER (wave_number < $number) AS before,
            min_by(wave, wave_number) FILTER (wave_number > $number) AS after
        FROM waves
        """,
        {"number": planned.wave_number},
    )
    return row
