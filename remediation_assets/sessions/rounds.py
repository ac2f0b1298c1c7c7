"""Rounds: whether a wave may start, opening its next round, noting that it was collected."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from remediation_assets.errors import RemediationError
from remediation_assets.models import FindingCategory, Outcome, SessionStatus
from remediation_assets.planning.playbooks import PlaybookText
from remediation_assets.planning.wave_plan import PlannedWave, find_wave, remember_playbooks

from .events import Timeline
from .gate import describe
from .reviewing import Review
from .withdrawing import gone


class GateClosed(RemediationError):
    """A wave may not start because the one before it has not passed; the text says what to do."""


class PlanIsStale(RemediationError):
    """A wave's plan is missing or of an older planning; the text says what to do."""


@dataclass(frozen=True)
class Round:
    """A round as the ledger has it."""

    wave_number: int
    round: int
    settled_at: datetime | None
    collected_at: datetime | None


@dataclass(frozen=True)
class Opening:
    """What opening a round came to: a new one, one that goes on, or nothing to do."""

    round: int
    is_new: bool
    attempts: int
    ignored_gate: bool = False


def open_round(
    tx: DuckDBPyConnection,
    wave: str,
    *,
    ignore_gate: bool,
    again: bool = True,
    run_id: str,
    playbooks: Mapping[FindingCategory, PlaybookText],
    timeline: Timeline,
) -> Opening:
    """Open the wave's next round, or go on with the one that is not yet collected.

    A round takes the wave's findings that have not succeeded and that the last scan still has; with none
    left, or where `again` is false, a later round is not opened and `attempts` is 0. Raises GateClosed,
    PlanIsStale or UnknownWave, writing nothing.
    """
    planned = find_wave(tx, wave)
    last = last_round(tx, planned.wave_number)
    if last and last.collected_at is None:
        count = tx.execute(
            "SELECT count(*) FROM attempts WHERE wave_number = ? AND round = ?",
            [planned.wave_number, last.round],
        ).fetchone()
        return Opening(last.round, is_new=False, attempts=count[0] if count else 0)
    if last and not again:
        return Opening(last.round, is_new=False, attempts=0)
    closed = gate_before(tx, planned)
    if closed and not ignore_gate:
        raise GateClosed(closed)
    _check_plan(tx, planned)
    number = last.round + 1 if last else 1
    remember_playbooks(tx, playbooks)
    attempts = _insert_first_attempts(tx, planned, number, playbooks, timeline.now)
    if attempts == 0 and last:
        return Opening(last.round, is_new=False, attempts=0)
    tx.execute(
        """
        INSERT INTO rounds (wave_number, round, opened_at, run_id, plan_number, ignored_gate)
        VALUES (?, ?, ?, ?, ?, ?)
        """,
        [planned.wave_number, number, timeline.now, run_id, planned.plan_number, bool(closed)],
    )
    message = f"{wave} round {number} opened with {attempts} findings"
    if closed:
        message += f", overruling the gate: {closed}"
    timeline.add(tx, "wave_started", message, wave_number=planned.wave_number, details={"ignored_gate": bool(closed)})
    return Opening(number, is_new=True, attempts=attempts, ignored_gate=bool(closed))


def gate_before(tx: DuckDBPyConnection, planned: PlannedWave) -> str | None:
    """Say why the wave may not start: the highest wave below it has not passed. None where it may.

    A wave in which nothing counts, and of which the last scan has left nothing to run, is passed over.
    """
    rows = tx.execute(
        """
        SELECT w.wave, w.wave_number, g.passed, g.succeeded, g.answerable, g.rate, g.threshold
        FROM waves w
        LEFT JOIN (FROM gate_results QUALIFY row_number() OVER (PARTITION BY wave_number ORDER BY round DESC) = 1) g
            ON g.wave_number = w.wave_number
        WHERE w.wave_number < ?
        ORDER BY w.wave_number DESC
        """,
        [planned.wave_number],
    ).fetchall()
    for before, wave_number, passed, succeeded, answerable, rate, threshold in rows:
        if passed:
            return None
        if passed is None:
            why, do = f"{before} has not been run to its end", f"run {before} first, or"
        else:
            left = _unfinished(tx, wave_number)
            if not left and not answerable:
                continue
            [(rejected,)] = tx.execute(
                "SELECT count(*) FROM session_results WHERE wave_number = ? AND review = ?",
                [wave_number, Review.REJECTED],
            ).fetchall()
            why = f"{before} has not passed its gate ({describe(succeeded, answerable, rate, threshold)})"
            do = f"look at its failures, then run {before} again, or" if left else "nothing of it is left to run, so"
            if rejected:
                do = f"{rejected} of it were rejected in review: reopen them and run {before} again, or"
        return f"{planned.wave} is not started: {why}; {do} overrule with ignore_gate."
    return None


def _unfinished(tx: DuckDBPyConnection, wave_number: int) -> list[str]:
    """Load the findings of a wave that have not succeeded, or were reopened, and that the last scan still has."""
    rows = tx.execute(
        """
        SELECT finding_key FROM wave_plan p
        WHERE wave_number = $wave AND NOT EXISTS (
            FROM attempts a WHERE a.finding_key = p.finding_key AND a.wave_number = $wave AND a.outcome = $success
                AND NOT EXISTS (
                    FROM last_reviews r
                    WHERE r.finding_key = a.finding_key AND r.attempt = a.attempt AND r.verdict = $reopened))
        ORDER BY position
        """,
        {"wave": wave_number, "success": Outcome.SUCCESS, "reopened": Review.REOPENED},
    ).fetchall()
    keys = [key for (key,) in rows]
    missing = gone(tx, wave_number, keys)
    return [key for key in keys if key not in missing]


def to_be_started(connection: DuckDBPyConnection, wave: str) -> dict[str, int]:
    """Count by category the findings of a wave that would get a session now, were it run."""
    planned = find_wave(connection, wave)
    last = last_round(connection, planned.wave_number)
    if last is None:
        keys = connection.execute(
            "SELECT finding_key FROM wave_findings WHERE wave_number = ?", [planned.wave_number]
        ).fetchall()
        chosen = [key for (key,) in keys]
    elif last.collected_at is None:
        waiting = connection.execute(
            "SELECT finding_key FROM attempts WHERE wave_number = ? AND outcome IS NULL AND claimed_at IS NULL",
            [planned.wave_number],
        ).fetchall()
        chosen = [key for (key,) in waiting]
    else:
        chosen = _unfinished(connection, planned.wave_number)
    rows = connection.execute(
        """
        SELECT category, count(*) FROM normalized_findings WHERE list_contains(?, finding_key)
        GROUP BY ALL ORDER BY ALL
        """,
        [chosen],
    ).fetchall()
    return {str(category): int(count) for category, count in rows}


def last_round(tx: DuckDBPyConnection, wave_number: int) -> Round | None:
    """Load the wave's last round."""
    row = tx.execute(
        """
        SELECT wave_number, round, settled_at, collected_at FROM rounds
        WHERE wave_number = ? ORDER BY round DESC LIMIT 1
        """,
        [wave_number],
    ).fetchone()
    return Round(*row) if row else None


def _check_plan(tx: DuckDBPyConnection, planned: PlannedWave) -> None:
    row = tx.execute(
        """
        SELECT (SELECT count(*) FROM wave_findings WHERE wave_number = $number),
            (SELECT count(*) FROM wave_plan WHERE wave_number = $number AND plan_number = $plan)
        """,
        {"number": planned.wave_number, "plan": planned.plan_number},
    ).fetchone()
    if row is None or row[0] != row[1]:
        raise PlanIsStale(
            f"the plan of {planned.wave} is missing or older than its findings; materialize wave_plan first, "
            "and where that does not help, run plan_waves."
        )


def _insert_first_attempts(
    tx: DuckDBPyConnection,
    planned: PlannedWave,
    number: int,
    playbooks: Mapping[FindingCategory, PlaybookText],
    now: datetime,
) -> int:
    # A first round runs what was planned; a later one the playbooks as they stand now, for whoever
    # runs a failed wave again has most likely mended them.
    current = {playbook.name: playbook.version for playbook in playbooks.values()} if number > 1 else {}
    chosen = _unfinished(tx, planned.wave_number)
    rows = tx.execute(
        """
        SELECT p.finding_key, p.playbook, p.playbook_version, coalesce(max(a.attempt), 0) + 1
        FROM wave_plan p LEFT JOIN attempts a ON a.finding_key = p.finding_key
        WHERE p.wave_number = ? AND list_contains(?, p.finding_key)
        GROUP BY p.finding_key, p.playbook, p.playbook_version, p.position
        ORDER BY p.position
        """,
        [planned.wave_number, chosen],
    ).fetchall()
    for finding_key, playbook, version, attempt in rows:
        insert_attempt(
            tx,
            finding_key,
            attempt,
            planned.wave_number,
            number,
            False,
            playbook,
            current.get(playbook, version),
            now,
        )
    return len(rows)


def insert_attempt(
    tx: DuckDBPyConnection,
    finding_key: str,
    attempt: int,
    wave_number: int,
    number: int,
    is_retry: bool,
    playbook: str,
    version: str,
    now: datetime,
) -> None:
    """Add a pending attempt to a round; numbers of attempts run on and are never used again."""
    tx.execute(
        """
        INSERT INTO attempts (
            finding_key, attempt, wave_number, round, is_retry, status, playbook, playbook_version, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        [finding_key, attempt, wave_number, number, is_retry, SessionStatus.PENDING, playbook, version, now],
    )


def mark_collected(tx: DuckDBPyConnection, wave_number: int, now: datetime) -> None:
    """Note that the wave's settled rounds have been materialized as results."""
    tx.execute(
        """
        UPDATE rounds SET collected_at = ?
        WHERE wave_number = ? AND settled_at IS NOT NULL AND collected_at IS NULL
        """,
        [now, wave_number],
    )


def uncollected(tx: DuckDBPyConnection) -> list[tuple[str, int]]:
    """Load wave and number of each round that has settled and that nobody has collected."""
    return tx.execute(
        """
        SELECT w.wave, max(r.round) FROM rounds r JOIN waves w USING (wave_number)
        WHERE r.settled_at IS NOT NULL AND r.collected_at IS NULL GROUP BY w.wave ORDER BY w.wave
        """
    ).fetchall()
