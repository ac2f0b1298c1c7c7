"""Rounds in the ledger: check whether a wave may start, open its next round, note what happened to a round."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from remediation_assets.errors import RemediationError
from remediation_assets.ledger.transaction import Reader, Transaction
from remediation_assets.models import EventType, FindingCategory, GateVerdict, Outcome
from remediation_assets.planning.playbooks import PlaybookText
from remediation_assets.planning.wave_plan import PlannedWave, find_wave, remember_playbooks
from remediation_assets.sessions.rules.gate import describe
from remediation_assets.sessions.store.closed_findings import closed_findings

from .attempts import NewAttempt, insert_attempt
from .reviews import Decision


class GateClosed(RemediationError):
    """A wave is refused because the verdict on the one before it does not open it; the text says what to do."""


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
class OpenRound:
    """A round that has not settled; `is_unconfirmed` from an unanswered request until the next duplicate check."""

    wave: str
    wave_number: int
    round: int
    ignored_gate: bool
    is_stopped: bool
    is_unconfirmed: bool


@dataclass(frozen=True)
class Opening:
    """The result of opening a round: a new round, the one that goes on, or nothing to do."""

    round: int
    is_new: bool
    attempts: int
    ignored_gate: bool = False


@dataclass(frozen=True)
class OpenOptions:
    """How to open a round: for which run, whether past a closed gate, and whether again after a collected round."""

    run_id: str
    ignore_gate: bool = False
    again: bool = True


def open_round(
    tx: Transaction, wave: str, playbooks: Mapping[FindingCategory, PlaybookText], options: OpenOptions
) -> Opening:
    """Open the wave's next round, or continue the last one if it is not yet collected.

    A round takes the wave's findings that have not succeeded and that the last scan still has. If none is left,
    or `again` is false, no further round is opened and `attempts` is 0. Raise GateClosed, PlanIsStale or
    UnknownWave, writing nothing.
    """
    planned = find_wave(tx, wave)
    last = last_round(tx, planned.wave_number)
    # A settled round too: a run that was killed before it stored the results is followed by one that does.
    if last and last.collected_at is None:
        count = tx.scalar(
            "SELECT count(*) FROM attempts WHERE wave_number = ? AND round = ?", [planned.wave_number, last.round]
        )
        return Opening(last.round, is_new=False, attempts=count)
    if last and not options.again:
        return Opening(last.round, is_new=False, attempts=0)
    # Before anything is written: a refusal leaves no trace of a round.
    closed = gate_before(tx, planned)
    if closed and not options.ignore_gate:
        raise GateClosed(closed.sentence(overrule=IN_DAGSTER))
    _check_plan(tx, planned)
    number = last.round + 1 if last else 1
    # Attempts name versions by their hash; the text has to be in the ledger before.
    remember_playbooks(tx, playbooks)
    attempts = _insert_first_attempts(tx, planned, number, playbooks)
    # An empty first round is opened all the same: its verdict, that nothing counts, lets the waves after it pass by.
    if attempts == 0 and last:
        return Opening(last.round, is_new=False, attempts=0)
    tx.execute(
        """
        INSERT INTO rounds (wave_number, round, opened_at, run_id, plan_number, ignored_gate)
        VALUES (?, ?, ?, ?, ?, ?)
        """,
        # Overruled only if there was something to overrule, whatever the caller allowed.
        [planned.wave_number, number, tx.now, options.run_id, planned.plan_number, bool(closed)],
    )
    message = f"{wave} round {number} opened with {attempts} findings"
    if closed:
        message += f", overruling the gate: {closed.why}"
    tx.record(EventType.WAVE_STARTED, message, wave_number=planned.wave_number, details={"ignored_gate": bool(closed)})
    return Opening(number, is_new=True, attempts=attempts, ignored_gate=bool(closed))


IN_DAGSTER = "the run config `ignore_gate: true` of devin_sessions"
IN_A_SHELL = "`--ignore-gate`"


@dataclass(frozen=True)
class ClosedGate:
    """Why a wave may not start, and what a person can do about it."""

    wave: str
    why: str
    remedy: str

    def sentence(self, *, overrule: str) -> str:
        """Return the refusal as a sentence; `overrule` says how a person overrules the gate in this place."""
        return f"{self.wave} is refused and not started: {self.why}; {self.remedy} overrule the gate with {overrule}."


@dataclass(frozen=True)
class _EarlierWave:
    wave: str
    wave_number: int
    verdict: GateVerdict | None
    opens: bool | None
    succeeded: int | None
    answerable: int | None
    rate: float | None
    threshold: float | None


def opens_next(tx: Reader, wave_number: int, verdict: GateVerdict, *, opens: bool) -> bool:
    """Whether the wave after this one may start, by its verdict as it is stored.

    A wave that was not judged is to be run again. If nothing of it is left to run, nobody could ever make it pass, so
    it does not keep later waves back.
    """
    return opens or (verdict is GateVerdict.NOT_JUDGED and not unfinished_findings(tx, wave_number))


def gate_before(tx: Reader, planned: PlannedWave) -> ClosedGate | None:
    """Return why the wave may not start, None if it may: the verdict on the wave before it must open it.

    An earlier wave is passed over if it was not judged and nothing of it is left to run.
    """
    earlier = tx.rows(
        _EarlierWave,
        """
        SELECT w.wave, w.wave_number, g.verdict, g.opens, g.succeeded, g.answerable, g.rate, g.threshold
        FROM waves w LEFT JOIN last_gate_results g ON g.wave_number = w.wave_number
        WHERE w.wave_number < ?
        ORDER BY w.wave_number DESC
        """,
        [planned.wave_number],
    )
    for before in earlier:
        if before.opens:
            return None
        if before.verdict is None or before.succeeded is None or before.answerable is None or before.threshold is None:
            why, do = f"{before.wave} has not been run to its end", f"run {before.wave} first, or"
        elif before.verdict is GateVerdict.NOT_JUDGED:
            if opens_next(tx, before.wave_number, before.verdict, opens=False):
                continue
            why, do = f"{before.wave} was not judged, because no outcome of it counts", f"run {before.wave} again, or"
        else:
            left = unfinished_findings(tx, before.wave_number)
            rejected = tx.scalar(
                "SELECT count(*) FROM session_results WHERE wave_number = ? AND review = ?",
                [before.wave_number, Decision.REJECTED],
            )
            verdict = describe(before.succeeded, before.answerable, before.rate, before.threshold)
            why = f"{before.wave} has not passed its gate ({verdict})"
            do = (
                f"look at its failures, then run {before.wave} again, or"
                if left
                else "nothing of it is left to run, so"
            )
            if rejected:
                do = f"{rejected} of it were rejected in review: reopen them and run {before.wave} again, or"
        return ClosedGate(planned.wave, why, do)
    return None


def unfinished_findings(tx: Reader, wave_number: int) -> list[str]:
    """Load the keys of a wave's findings that have not succeeded, or were reopened, and are not closed."""
    keys = tx.column(
        """
        SELECT finding_key FROM wave_plan p
        WHERE wave_number = $wave AND NOT EXISTS (
            -- One that was rejected stays away: only a person has it tried again, by reopening it.
            FROM reviewed_attempts a
            WHERE a.finding_key = p.finding_key AND a.wave_number = $wave AND a.outcome = $success
                AND a.review IS DISTINCT FROM $reopened)
        ORDER BY position
        """,
        {"wave": wave_number, "success": Outcome.SUCCESS, "reopened": Decision.REOPENED},
    )
    closed = closed_findings(tx, wave_number, keys)
    return [key for key in keys if key not in closed]


def last_round(tx: Reader, wave_number: int) -> Round | None:
    """Load the wave's last round, None if it was never run."""
    return tx.one_or_none(
        Round,
        "SELECT wave_number, round, settled_at, collected_at FROM last_rounds WHERE wave_number = ?",
        [wave_number],
    )


def open_rounds(tx: Reader) -> list[OpenRound]:
    """Load the rounds that have not settled, in the order of their waves."""
    return tx.rows(
        OpenRound,
        """
        SELECT w.wave, r.wave_number, r.round, r.ignored_gate, r.stopped_at IS NOT NULL AS is_stopped,
            -- A request that is sent after the check takes `duplicates_checked_at` back.
            r.unconfirmed AND r.duplicates_checked_at IS NULL AS is_unconfirmed
        FROM rounds r JOIN waves w ON w.wave_number = r.wave_number
        WHERE r.settled_at IS NULL
        ORDER BY r.wave_number
        """,
    )


def is_open(tx: Reader, wave_number: int, number: int) -> bool:
    """Whether a round has neither settled nor been stopped."""
    return any((one.wave_number, one.round) == (wave_number, number) and not one.is_stopped for one in open_rounds(tx))


def _check_plan(tx: Reader, planned: PlannedWave) -> None:
    is_complete = tx.scalar(
        """
        -- Planning again raises the plan number of each wave that it changes, so that prompts of before do not count.
        SELECT (SELECT count(*) FROM wave_findings WHERE wave_number = $number)
            = (SELECT count(*) FROM wave_plan WHERE wave_number = $number AND plan_number = $plan)
        """,
        {"number": planned.wave_number, "plan": planned.plan_number},
    )
    if not is_complete:
        raise PlanIsStale(
            f"the plan of {planned.wave} is missing or older than its findings; materialize wave_plan first, "
            "and where that does not help, run plan_waves."
        )


@dataclass(frozen=True)
class _Next:
    finding_key: str
    playbook: str
    playbook_version: str
    attempt: int


def _insert_first_attempts(
    tx: Transaction, planned: PlannedWave, number: int, playbooks: Mapping[FindingCategory, PlaybookText]
) -> int:
    # A first round runs what was planned; a later one uses the playbooks as they are now, because whoever runs a
    # failed wave again has most likely improved them.
    current = {playbook.name: playbook.version for playbook in playbooks.values()} if number > 1 else {}
    chosen = tx.rows(
        _Next,
        """
        -- Over all waves and rounds: the number is part of a session's tag and never used again.
        SELECT p.finding_key, p.playbook, p.playbook_version, coalesce(max(a.attempt), 0) + 1 AS attempt
        FROM wave_plan p LEFT JOIN attempts a ON a.finding_key = p.finding_key
        WHERE p.wave_number = ? AND list_contains(?, p.finding_key)
        GROUP BY p.finding_key, p.playbook, p.playbook_version, p.position
        ORDER BY p.position
        """,
        [planned.wave_number, unfinished_findings(tx, planned.wave_number)],
    )
    for one in chosen:
        insert_attempt(
            tx,
            NewAttempt(
                finding_key=one.finding_key,
                attempt=one.attempt,
                wave_number=planned.wave_number,
                round=number,
                is_retry=False,
                playbook=one.playbook,
                playbook_version=current.get(one.playbook, one.playbook_version),
                created_at=tx.now,
            ),
        )
    return len(chosen)


def mark_stopped(tx: Transaction, stopped: OpenRound) -> None:
    """Note that a person has stopped a round: none of its attempts is dispatched or retried any more."""
    tx.execute(
        "UPDATE rounds SET stopped_at = ? WHERE wave_number = ? AND round = ?",
        [tx.now, stopped.wave_number, stopped.round],
    )


def mark_settled(tx: Transaction, settled: OpenRound) -> None:
    """Note that a round has its verdict."""
    tx.execute(
        "UPDATE rounds SET settled_at = ? WHERE wave_number = ? AND round = ?",
        [tx.now, settled.wave_number, settled.round],
    )


def mark_collected(tx: Transaction, wave_number: int) -> None:
    """Note that the wave's settled rounds have been materialized as results."""
    tx.execute(
        """
        UPDATE rounds SET collected_at = ?
        WHERE wave_number = ? AND settled_at IS NOT NULL AND collected_at IS NULL
        """,
        [tx.now, wave_number],
    )


@dataclass(frozen=True)
class Uncollected:
    """A round that has settled and has not been collected."""

    wave: str
    round: int


def uncollected(tx: Reader) -> list[Uncollected]:
    """Load each wave's last uncollected round."""
    return tx.rows(
        Uncollected,
        """
        SELECT w.wave, max(r.round) AS round FROM rounds r JOIN waves w USING (wave_number)
        WHERE r.settled_at IS NOT NULL AND r.collected_at IS NULL GROUP BY w.wave ORDER BY w.wave
        """,
    )


@dataclass(frozen=True)
class LastStarted:
    """The last round of the highest wave ever started; `following` is the next wave, None if there is none."""

    wave: str
    round: int
    is_settled: bool
    is_collected: bool
    is_stopped: bool
    following: str | None


def last_started(tx: Reader) -> LastStarted | None:
    """Load the last round of the highest wave ever started, None if no wave was."""
    return tx.one_or_none(
        LastStarted,
        """
        SELECT w.wave, r.round, r.settled_at IS NOT NULL AS is_settled, r.collected_at IS NOT NULL AS is_collected,
            r.stopped_at IS NOT NULL AS is_stopped,
            (SELECT min_by(n.wave, n.wave_number) FROM waves n WHERE n.wave_number > w.wave_number) AS following
        FROM last_rounds r JOIN waves w USING (wave_number)
        ORDER BY w.wave_number DESC LIMIT 1
        """,
    )
