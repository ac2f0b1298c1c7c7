"""What an open round needs next - to wait, retries, or its verdict - and doing it.

`next_step` is the decision and is pure; the rest reads and writes the ledger in the caller's
transaction.
"""

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import partial

from duckdb import DuckDBPyConnection

from remediation_assets.models import Outcome

from .attempts import RETRIABLE, Attempt, load_attempts
from .events import Timeline
from .gate import Verdict, judge_wave
from .reviewing import not_standing
from .rounds import insert_attempt
from .withdrawing import gone


@dataclass(frozen=True)
class NextStep:
    """What a round needs: nothing yet, a further attempt after each of `retries`, or its verdict."""

    retries: tuple[Attempt, ...] = ()
    verdict: Verdict | None = None


def next_step(
    wave_attempts: Sequence[Attempt],
    findings: Sequence[str],
    round_number: int,
    *,
    min_success_rate: float,
    max_retries: int,
    withdrawn: Container[str] = (),
    not_standing: Container[tuple[str, int]] = (),
) -> NextStep:
    """Decide from all attempts of a wave what its round `round_number` needs.

    Findings that are `withdrawn` are not tried again; a success that a person has not let stand counts
    as a failure, and only a person has it tried again.

    Retries are due only once all first attempts have an outcome and these alone pass the gate: a
    round that misses it has a playbook or agent problem, and retrying would burn money. They can
    only raise a passing rate, so the verdict is final then.
    """
    judge = partial(_verdict, wave_attempts, findings, round_number, min_success_rate, not_standing)
    of_round = [attempt for attempt in wave_attempts if attempt.round == round_number]
    if any(attempt.outcome is None for attempt in of_round):
        return NextStep()
    if judge(with_retries=False).passed:
        by_finding: dict[str, list[Attempt]] = defaultdict(list)
        for attempt in of_round:
            by_finding[attempt.finding_key].append(attempt)
        due = tuple(
            max(attempts, key=lambda attempt: attempt.attempt)
            for finding, attempts in by_finding.items()
            if may_be_retried(attempts, max_retries) and finding not in withdrawn
        )
        if due:
            return NextStep(retries=due)
    return NextStep(verdict=judge(with_retries=True))


def may_be_retried(of_finding: Sequence[Attempt], max_retries: int) -> bool:
    """Say whether a finding whose attempts of one round are these may have a further one in it."""
    return all(attempt.outcome in RETRIABLE for attempt in of_finding) and len(of_finding) <= max_retries


def _verdict(
    wave_attempts: Sequence[Attempt],
    findings: Sequence[str],
    round_number: int,
    min_success_rate: float,
    not_standing: Container[tuple[str, int]],
    *,
    with_retries: bool,
) -> Verdict:
    outcomes: dict[str, list[Outcome]] = {finding: [] for finding in findings}
    for attempt in wave_attempts:
        counts = attempt.round < round_number or (
            attempt.round == round_number and (with_retries or not attempt.is_retry)
        )
        if counts and attempt.outcome:
            stands = (attempt.finding_key, attempt.attempt) not in not_standing
            outcomes.setdefault(attempt.finding_key, []).append(attempt.outcome if stands else Outcome.FAILED)
    return judge_wave(outcomes.values(), min_success_rate)


def advance_rounds(
    tx: DuckDBPyConnection, *, min_success_rate: float, max_retries: int, timeline: Timeline
) -> list[str]:
    """Take every open round its next step; return the waves that settled."""
    settled = []
    open_rounds = tx.execute(
        """
        SELECT w.wave, r.wave_number, r.round, r.ignored_gate, r.stopped_at IS NOT NULL,
            r.unsure AND r.audited_at IS NULL
        FROM rounds r JOIN waves w ON w.wave_number = r.wave_number
        WHERE r.settled_at IS NULL
        ORDER BY r.wave_number
        """
    ).fetchall()
    for wave, wave_number, number, ignored_gate, stopped, to_be_audited in open_rounds:
        findings = [
            row[0]
            for row in tx.execute("SELECT finding_key FROM wave_plan WHERE wave_number = ?", [wave_number]).fetchall()
        ]
        decide = partial(
            next_step,
            load_attempts(tx, "a.wave_number = ?", [wave_number]),
            findings,
            number,
            min_success_rate=min_success_rate,
            max_retries=0 if stopped else max_retries,
            not_standing=not_standing(tx, wave_number),
        )
        step = decide()
        if step.retries:  # rare, where every tick comes here: only then it matters what is gone
            step = decide(withdrawn=gone(tx, wave_number, [attempt.finding_key for attempt in step.retries]))
        for attempt in step.retries:
            _insert_retry(tx, attempt, timeline)
        if step.verdict and not to_be_audited:
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
    insert_attempt(tx, of.finding_key, row[0], of.wave_number, of.round, True, row[1], row[2], timeline.now)
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
    # Also where nothing was ever claimed, as in a round that was stopped: a verdict belongs to this cut of the wave.
    tx.execute(
        "UPDATE waves SET frozen_at = ? WHERE wave_number = ? AND frozen_at IS NULL", [timeline.now, wave_number]
    )
    what = "passed" if verdict.passed else "failed"
    timeline.add(
        tx,
        "wave_completed" if verdict.passed else "wave_gated",
        f"{wave} round {number} settled, gate {what}: {verdict.sentence}",
        wave_number=wave_number,
    )
