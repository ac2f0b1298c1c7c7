"""Rounds: opening one, deciding what it needs next, settling it with its gate.

`next_step` is the decision and is pure; the rest reads and writes the ledger in the caller's
transaction.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from remediation_assets.errors import RemediationError
from remediation_assets.models import FindingCategory, Outcome, SessionStatus
from remediation_assets.planning.playbooks import PlaybookText
from remediation_assets.planning.wave_plan import PlannedWave, find_wave, remember_playbooks

from .attempts import Attempt, load_attempts
from .events import Timeline
from .gate import Verdict, describe, judge_wave

RETRIABLE = (Outcome.FAILED, Outcome.TIMEOUT)


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
class Retry:
    """A further attempt that is due."""

    of: Attempt


@dataclass(frozen=True)
class NextStep:
    """What a round needs: nothing yet, retries, or its verdict."""

    retries: tuple[Retry, ...] = ()
    verdict: Verdict | None = None


def next_step(
    wave_attempts: Sequence[Attempt],
    findings: Sequence[str],
    round_number: int,
    *,
    min_success_rate: float,
    max_retries: int,
) -> NextStep:
    """Decide from all attempts of a wave what its round `round_number` needs.

    Retries are due only once all first attempts have an outcome and these alone pass the gate: a
    round that misses it has a playbook or agent problem, and retrying would burn money. They can
    only raise a passing rate, so the verdict is final then.
    """
    of_round = [attempt for attempt in wave_attempts if attempt.round == round_number]
    if any(attempt.outcome is None for attempt in of_round):
        return NextStep()
    if _verdict(wave_attempts, findings, round_number, min_success_rate, with_retries=False).passed:
        by_finding: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in of_round:
            by_finding[attempt.finding_key].append(attempt)
        due = tuple(
            Retry(of=max(attempts, key=lambda attempt: attempt.attempt))
            for attempts in by_finding.values()
            if all(attempt.outcome in RETRIABLE for attempt in attempts) and len(attempts) <= max_retries
        )
        if due:
            return NextStep(retries=due)
    return NextStep(verdict=_verdict(wave_attempts, findings, round_number, min_success_rate, with_retries=True))


def _verdict(
    wave_attempts: Sequence[Attempt],
    findings: Sequence[str],
    round_number: int,
    min_success_rate: float,
    *,
    with_retries: bool,
) -> Verdict:
    outcomes: dict[str, list[Outcome]] = {finding: [] for finding in findings}
    for attempt in wave_attempts:
        counts = attempt.round < round_number or (
            attempt.round == round_number and (with_retries or not attempt.is_retry)
        )
        if counts and attempt.outcome:
            outcomes.setdefault(attempt.finding_key, []).append(attempt.outcome)
    return judge_wave(outcomes.values(), min_success_rate)


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
    run_id: str,
    playbooks: Mapping[FindingCategory, PlaybookText],
    timeline: Timeline,
) -> Opening:
    """Open the wave's next round, or go on with the one that is not yet collected.

    A round takes the wave's findings that have not succeeded; with none left a later round is not
    opened and `attempts` is 0. Raises GateClosed, PlanIsStale or UnknownWave, writing nothing.
    """
    planned = find_wave(tx, wave)
    closed = gate_before(tx, planned)
    if closed and not ignore_gate:
        raise GateClosed(closed)
    last = last_round(tx, planned.wave_number)
    if last and last.collected_at is None:
        count = tx.execute(
            "SELECT count(*) FROM attempts WHERE wave_number = ? AND round = ?",
            [planned.wave_number, last.round],
        ).fetchone()
        return Opening(last.round, is_new=False, attempts=count[0] if count else 0)
    _check_plan(tx, planned)
    number = last.round + 1 if last else 1
    remember_playbooks(tx, playbooks)
    attempts = _insert_first_attempts(tx, planned, number, playbooks, timeline.now)
    if attempts == 0 and last:
        return Opening(last.round, is_new=False, attempts=0)
    tx.execute(
        "INSERT INTO rounds VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)",
        [planned.wave_number, number, timeline.now, run_id, planned.plan_number, bool(closed)],
    )
    message = f"{wave} round {number} opened with {attempts} findings"
    if closed:
        message += f", overruling the gate: {closed}"
    timeline.add(tx, "wave_started", message, wave_number=planned.wave_number, details={"ignored_gate": bool(closed)})
    return Opening(number, is_new=True, attempts=attempts, ignored_gate=bool(closed))


def gate_before(tx: DuckDBPyConnection, planned: PlannedWave) -> str | None:
    """Say why the wave may not start: the highest wave below it has not passed. None where it may."""
    row = tx.execute(
        """
        SELECT w.wave, g.passed, g.succeeded, g.answerable, g.rate, g.threshold, r.settled_at
        FROM waves w
        LEFT JOIN (FROM rounds QUALIFY row_number() OVER (PARTITION BY wave_number ORDER BY round DESC) = 1) r
            ON r.wave_number = w.wave_number
        LEFT JOIN (FROM gate_results QUALIFY row_number() OVER (PARTITION BY wave_number ORDER BY round DESC) = 1) g
            ON g.wave_number = w.wave_number
        WHERE w.wave_number < ?
        ORDER BY w.wave_number DESC
        LIMIT 1
        """,
        [planned.wave_number],
    ).fetchone()
    if row is None or row[1]:
        return None
    before = row[0]
    if row[1] is None:
        why = f"{before} has not been run to its end"
        do = f"run {before} first"
    else:
        why = f"{before} has not passed its gate ({describe(*row[2:6])})"
        do = f"look at its failures, then run {before} again"
    return f"{planned.wave} is not started: {why}; {do}, or overrule with ignore_gate."


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
            f"the plan of {planned.wave} is missing or older than its findings; materialize wave_plan first."
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
    rows = tx.execute(
        """
        SELECT p.finding_key, p.playbook, p.playbook_version, coalesce(max(a.attempt), 0) + 1
        FROM wave_plan p LEFT JOIN attempts a ON a.finding_key = p.finding_key
        WHERE p.wave_number = ?
        GROUP BY p.finding_key, p.playbook, p.playbook_version, p.position
        HAVING NOT coalesce(bool_or(a.outcome = ?), false)
        ORDER BY p.position
        """,
        [planned.wave_number, Outcome.SUCCESS],
    ).fetchall()
    for finding_key, playbook, version, attempt in rows:
        _insert_attempt(
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


def _insert_attempt(
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
    tx.execute(
        """
        INSERT INTO attempts (
            finding_key, attempt, wave_number, round, is_retry, status, playbook, playbook_version, created_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        [finding_key, attempt, wave_number, number, is_retry, SessionStatus.PENDING, playbook, version, now],
    )


def advance_rounds(
    tx: DuckDBPyConnection, *, min_success_rate: float, max_retries: int, timeline: Timeline
) -> list[str]:
    """Take every open round its next step; return the waves that settled."""
    settled = []
    open_rounds = tx.execute(
        """
        SELECT w.wave, r.wave_number, r.round, r.ignored_gate
        FROM rounds r JOIN waves w ON w.wave_number = r.wave_number
        WHERE r.settled_at IS NULL
        ORDER BY r.wave_number
        """
    ).fetchall()
    for wave, wave_number, number, ignored_gate in open_rounds:
        findings = [
            row[0]
            for row in tx.execute("SELECT finding_key FROM wave_plan WHERE wave_number = ?", [wave_number]).fetchall()
        ]
        step = next_step(
            load_attempts(tx, "a.wave_number = ?", [wave_number]),
            findings,
            number,
            min_success_rate=min_success_rate,
            max_retries=max_retries,
        )
        for retry in step.retries:
            _insert_retry(tx, retry.of, timeline)
        if step.verdict:
            _settle(tx, wave, wave_number, number, ignored_gate, step.verdict, timeline)
            settled.append(wave)
    return settled


def _insert_retry(tx: DuckDBPyConnection, of: Attempt, timeline: Timeline) -> None:
    row = tx.execute(
        """
        SELECT max(attempt) + 1, arg_max(playbook, attempt), arg_max(playbook_version, attempt)
        FROM attempts WHERE finding_key = ?
        """,
        [of.finding_key],
    ).fetchone()
    assert row is not None  # an aggregate without GROUP BY always has a row
    _insert_attempt(tx, of.finding_key, row[0], of.wave_number, of.round, True, row[1], row[2], timeline.now)
    timeline.add(tx, "session_retried", f"{of.label} {of.status}, to be tried again", attempt=of)


def _settle(
    tx: DuckDBPyConnection,
    wave: str,
    wave_number: int,
    number: int,
    ignored_gate: bool,
    verdict: Verdict,
    timeline: Timeline,
) -> None:
    low, high = verdict.interval or (None, None)
    tx.execute(
        "INSERT INTO gate_results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            wave,
            wave_number,
            number,
            timeline.now,
            verdict.findings,
            verdict.succeeded,
            verdict.answerable,
            verdict.rate,
            verdict.threshold,
            low,
            high,
            verdict.passed,
            ignored_gate,
        ],
    )
    tx.execute(
        "UPDATE rounds SET settled_at = ? WHERE wave_number = ? AND round = ?",
        [timeline.now, wave_number, number],
    )
    what = "passed" if verdict.passed else "failed"
    timeline.add(
        tx,
        "wave_completed" if verdict.passed else "wave_gated",
        f"{wave} round {number} settled, gate {what}: {verdict.sentence}",
        wave_number=wave_number,
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
