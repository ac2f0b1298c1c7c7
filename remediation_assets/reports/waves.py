"""How far every wave got, read from the ledger or its published copy, and what a run does with each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from remediation_assets.ledger.transaction import Reader
from remediation_assets.models import GateVerdict
from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.sessions.rules.gate import describe
from remediation_assets.sessions.store.attempts import CLAIMED, LIVE, PENDING
from remediation_assets.sessions.store.holds import standing_holds
from remediation_assets.sessions.store.rounds import last_round, opens_next, unfinished_findings


@dataclass(frozen=True)
class WaveState:
    """A wave at a glance; `verdict` and `opens` are None until its last round has settled.

    `opens` is whether the next wave may start. `chosen` is whether it has findings that a person chose to be first.
    """

    wave: str
    findings: int
    succeeded: int
    failed: int
    at_work: int
    rejected: int
    stopped: int
    started: bool
    chosen: bool
    collected: bool
    verdict: GateVerdict | None
    opens: bool | None
    reason: str

    @property
    def unfinished(self) -> bool:
        """Whether the wave has not been run to its end: never run, not collected yet, or not judged with work left."""
        # Settled is not enough: until it is collected, its results are not materialized.
        if self.verdict is None or not self.collected:
            return True
        return self.verdict is GateVerdict.NOT_JUDGED and not self.opens


@dataclass(frozen=True)
class Around:
    """The last waves done, the wave at work and the next waves, and how many waves come before and after these."""

    states: tuple[WaveState, ...]
    earlier: int
    later: int


@dataclass(frozen=True)
class _Place:
    earlier: int
    later: int
    current: int | None


def waves_around_the_work(reader: Reader, *, done: int = 6, next_ones: int = 3) -> Around:
    """Load the states of the waves around the one at work, only as many as a person can look at."""
    place = reader.one(
        _Place,
        """
        WITH current AS (
            -- The first wave that is not collected; if all are, the place after the last one.
            SELECT coalesce(min(wave_number), (SELECT max(wave_number) + 1 FROM waves)) AS number
            FROM waves w LEFT JOIN last_rounds r USING (wave_number)
            WHERE r.collected_at IS NULL)
        SELECT count(*) FILTER (wave_number < number - $done) AS earlier,
            count(*) FILTER (wave_number > number + $next) AS later, any_value(number) AS current
        FROM waves, current
        """,
        {"done": done, "next": next_ones},
    )
    # Without any wave the aggregates still come as one row.
    if place.current is None:
        return Around((), 0, 0)
    states = wave_states(reader, first=place.current - done, last=place.current + next_ones)
    return Around(tuple(states), place.earlier, place.later)


def wave_states(reader: Reader, *, first: int = 0, last: int = 2**31 - 1) -> list[WaveState]:
    """Load the states of all waves, or of those between two numbers, in order."""
    rows = reader.records(
        f"""
        WITH results AS (
            -- Counted for the chosen waves before joining: there may be thousands of others.
            SELECT wave_number, count(*) FILTER (is_fixed) AS succeeded,
                count(*) FILTER (is_failed) AS failed, count(*) FILTER (review = 'rejected') AS rejected,
                count(*) FILTER (outcome = 'cancelled') AS stopped,
                count(*) FILTER ({LIVE}) AS at_work
            FROM session_results WHERE wave_number BETWEEN $first AND $last GROUP BY wave_number),
        sizes AS (
            SELECT wave_number, count(*) AS findings FROM wave_findings
            WHERE wave_number BETWEEN $first AND $last GROUP BY wave_number)
        SELECT w.wave, coalesce(n.findings, 0) AS findings,
            coalesce(s.succeeded, 0) AS succeeded, coalesce(s.failed, 0) AS failed, coalesce(s.at_work, 0) AS at_work,
            coalesce(s.rejected, 0) AS rejected, coalesce(s.stopped, 0) AS stopped, r.round IS NOT NULL AS started,
            w.chosen, g.verdict, g.opens, r.collected_at IS NOT NULL AS collected, w.wave_number,
            g.succeeded AS gate_succeeded, g.answerable AS gate_answerable, g.rate AS gate_rate,
            g.threshold AS gate_threshold
        FROM waves w
        LEFT JOIN last_rounds r ON r.wave_number = w.wave_number
        -- The verdict of the last round and not the last verdict: a wave that is run again has none for now.
        LEFT JOIN gate_results g ON g.wave_number = r.wave_number AND g.round = r.round
        -- A wave that has no plan yet has no results, and is shown all the same.
        LEFT JOIN results s ON s.wave_number = w.wave_number
        LEFT JOIN sizes n ON n.wave_number = w.wave_number
        WHERE w.wave_number BETWEEN $first AND $last
        ORDER BY w.wave_number
        """,
        {"first": first, "last": last},
    )
    return [_state(reader, row) for row in rows]


def _state(reader: Reader, row: dict[str, Any]) -> WaveState:
    gate = [row.pop(f"gate_{name}") for name in ("succeeded", "answerable", "rate", "threshold")]
    number, word, opens = row.pop("wave_number"), row.pop("verdict"), row.pop("opens")
    if word is None:
        return WaveState(**row, verdict=None, opens=None, reason="")
    verdict = GateVerdict(word)
    return WaveState(
        **row, verdict=verdict, opens=opens_next(reader, number, verdict, opens=opens), reason=describe(*gate)
    )


@dataclass(frozen=True)
class Decision:
    """What `remediate run` does with a wave, and why: run the wave, skip it, or stop before it."""

    run: bool
    stop: bool = False
    reason: str = ""


def decide(state: WaveState, *, ignore_gate: bool) -> Decision:
    """Decide what to do with a wave: it is run only if it has not been run to its end."""
    if state.unfinished:
        why = f"{state.wave} was not judged, because no outcome of it counts; it is run again."
        return Decision(run=True, reason=why if state.verdict is GateVerdict.NOT_JUDGED and state.collected else "")
    if state.verdict is GateVerdict.NOT_JUDGED:
        return Decision(run=False, reason=f"{state.wave} was not judged, and nothing of it is left to run.")
    again = f"`remediate run FILE --wave {state.wave}` tries again what did not succeed"
    # Running the wave again does not take these until they are reopened, which the sentence would leave open.
    if state.rejected:
        again += f", and the {state.rejected} rejected in review once they are reopened (`remediate reopen KEY`)"
    if state.opens:
        # A passed gate does not mean that all is fixed, and nothing else would say so.
        left = state.findings - state.succeeded
        return Decision(
            run=False,
            reason=f"{state.wave} has passed its gate ({state.reason})"
            + (f"; {left} did not succeed, {again}." if left else "."),
        )
    # The waves after it would be refused, unless the gate is overruled.
    return Decision(run=False, stop=not ignore_gate, reason=f"{state.wave} failed its gate ({state.reason}); {again}.")


@dataclass(frozen=True)
class Totals:
    """The ledger in figures; `acus` is None if the API does not report it (v1).

    The first six count findings by their last attempt, and the others of them add up to `planned`. `stopped` has no
    outcome that counts: stopped by a person, or the session vanished.
    """

    planned: int
    succeeded: int
    failed: int
    at_work: int
    stopped: int
    not_started: int
    pull_requests: int
    acus: float | None
    live: int
    unanswered: int
    last_poll_at: datetime | None
    holds: tuple[str, ...]


def totals(reader: Reader) -> Totals:
    """Load the figures of all waves together."""
    [figures] = reader.records(
        f"""
        WITH results AS (
            -- `planned` not from `session_results`, which lacks the findings of waves without a plan.
            SELECT (SELECT count(*) FROM wave_findings) AS planned, count(*) FILTER (is_fixed) AS succeeded,
                count(*) FILTER (is_failed) AS failed,
                count(*) FILTER (session_id IS NOT NULL AND outcome IS NULL) AS at_work,
                count(*) FILTER (outcome IS NOT NULL AND NOT is_fixed AND NOT is_failed) AS stopped,
                count(pr_url) FILTER (outcome = 'success') AS pull_requests
            FROM session_results),
        work AS (
            SELECT sum(acus_consumed) AS acus, count(*) FILTER ({LIVE}) AS live,
                count(*) FILTER ({CLAIMED}) AS unanswered, (SELECT last_poll_at FROM state) AS last_poll_at
            FROM attempts)
        SELECT results.*, work.* FROM results, work
        """
    )
    others = ("succeeded", "failed", "at_work", "stopped")
    not_started = figures["planned"] - sum(figures[name] for name in others)
    return Totals(**figures, not_started=not_started, holds=tuple(hold.sentence for hold in standing_holds(reader)))


@dataclass(frozen=True)
class WaveResults:
    """The figures of a wave's results; a figure is None if nothing was measured for it."""

    findings: int
    succeeded: int
    pull_requests: int
    minutes: float | None
    """Median minutes from a session's start to its success."""

    sessions: int
    acus: float | None
    rate: float | None

    @property
    def acus_per_success(self) -> float | None:
        """Return the average ACUs per success, with the ACUs of failures included."""
        return self.acus / self.succeeded if self.acus is not None and self.succeeded else None


def wave_results(reader: Reader, wave: str) -> WaveResults:
    """Load the figures of one wave."""
    return reader.one(
        WaveResults,
        """
        WITH results AS (
            SELECT count(*) AS findings, count(*) FILTER (is_fixed) AS succeeded,
                count(pr_url) FILTER (outcome = 'success') AS pull_requests,
                median(minutes) FILTER (outcome = 'success') AS minutes
            FROM session_results WHERE wave = $wave),
        spent AS (
            -- All attempts of all rounds: failures and retries were paid for as well.
            SELECT count(session_id) AS sessions, sum(acus_consumed) AS acus
            FROM attempts JOIN waves USING (wave_number) WHERE wave = $wave)
        SELECT results.*, spent.*, (SELECT rate FROM last_gate_results WHERE wave = $wave) AS rate
        FROM results, spent
        """,
        {"wave": wave},
    )


def outcome_counts(reader: Reader, wave: str) -> dict[str, int]:
    """Count a wave's findings by the outcome of their last attempt, or by its status if it has no outcome yet."""
    counts = reader.execute(
        """
        SELECT coalesce(outcome, status), count(*) FROM session_results WHERE wave = ? GROUP BY ALL ORDER BY ALL
        """,
        [wave],
    )
    return dict(counts.fetchall())


def to_be_started(reader: Reader, wave: str) -> dict[str, int]:
    """Count by category the findings of a wave that would get a session if the wave were run now."""
    planned = find_wave(reader, wave)
    last = last_round(reader, planned.wave_number)
    if last is None:
        # From the cut and not from `wave_plan`, which may not be there before the wave is run.
        chosen = reader.column("SELECT finding_key FROM wave_findings WHERE wave_number = ?", [planned.wave_number])
    elif last.collected_at is None:
        chosen = reader.column(
            f"SELECT finding_key FROM attempts WHERE wave_number = ? AND {PENDING}", [planned.wave_number]
        )
    else:
        chosen = unfinished_findings(reader, planned.wave_number)
    counts = reader.execute(
        """
        SELECT category, count(*) FROM normalized_findings WHERE list_contains(?, finding_key)
        GROUP BY ALL ORDER BY ALL
        """,
        [chosen],
    )
    return dict(counts.fetchall())
