"""How far every wave got, read from the ledger or its published copy, and what a run does with each."""

from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection

from .gate import describe
from .holds import standing_holds

_LAST_ROUNDS = """
last_rounds AS (
    SELECT wave_number, round, collected_at FROM rounds
    QUALIFY row_number() OVER (PARTITION BY wave_number ORDER BY round DESC) = 1)"""


@dataclass(frozen=True)
class WaveState:
    """A wave at a glance; `passed` is None until its last round has settled."""

    wave: str
    findings: int
    succeeded: int
    failed: int
    at_work: int
    rejected: int
    passed: bool | None
    collected: bool
    verdict: str

    @property
    def unfinished(self) -> bool:
        """Say whether it has not been run to its end: never, or its last round goes on."""
        return self.passed is None or not self.collected


@dataclass(frozen=True)
class Around:
    """The waves around the work: the last ones done, the one at work, the next; and how many there are besides."""

    states: tuple[WaveState, ...]
    earlier: int
    later: int


def waves_around_the_work(connection: DuckDBPyConnection, *, done: int = 6, next_ones: int = 3) -> Around:
    """Load the states of as many waves as a person can look at, however many there are."""
    [(earlier, later, current)] = connection.execute(
        f"""
        WITH {_LAST_ROUNDS},
        current AS (
            SELECT coalesce(min(wave_number), (SELECT max(wave_number) + 1 FROM waves)) AS number
            FROM waves w LEFT JOIN last_rounds r USING (wave_number)
            WHERE r.collected_at IS NULL)
        SELECT count(*) FILTER (wave_number < number - $done), count(*) FILTER (wave_number > number + $next),
            any_value(number)
        FROM waves, current
        """,
        {"done": done, "next": next_ones},
    ).fetchall()
    if current is None:
        return Around((), 0, 0)
    return Around(tuple(wave_states(connection, first=current - done, last=current + next_ones)), earlier, later)


def wave_states(connection: DuckDBPyConnection, *, first: int = 0, last: int = 2**31 - 1) -> list[WaveState]:
    """Load the states of all waves, or of those between two numbers, in order."""
    rows = connection.execute(
        f"""
        WITH {_LAST_ROUNDS},
        results AS (
            SELECT wave_number, count(*) FILTER (is_fixed) AS succeeded,
                count(*) FILTER (is_failed) AS failed, count(*) FILTER (review = 'rejected') AS rejected,
                count(*) FILTER (outcome IS NULL AND session_id IS NOT NULL) AS at_work
            FROM session_results WHERE wave_number BETWEEN $first AND $last GROUP BY wave_number),
        sizes AS (
            SELECT wave_number, count(*) AS findings FROM wave_findings
            WHERE wave_number BETWEEN $first AND $last GROUP BY wave_number)
        SELECT w.wave, coalesce(n.findings, 0),
            coalesce(s.succeeded, 0), coalesce(s.failed, 0), coalesce(s.at_work, 0), coalesce(s.rejected, 0),
            g.passed, r.collected_at IS NOT NULL, g.succeeded, g.answerable, g.rate, g.threshold
        FROM waves w
        LEFT JOIN last_rounds r ON r.wave_number = w.wave_number
        LEFT JOIN gate_results g ON g.wave_number = r.wave_number AND g.round = r.round
        LEFT JOIN results s ON s.wave_number = w.wave_number
        LEFT JOIN sizes n ON n.wave_number = w.wave_number
        WHERE w.wave_number BETWEEN $first AND $last
        ORDER BY w.wave_number
        """,
        {"first": first, "last": last},
    ).fetchall()
    return [WaveState(*(*row[:8], "" if row[6] is None else describe(*row[8:]))) for row in rows]


@dataclass(frozen=True)
class Decision:
    """What `remediate run` does with a wave: run it, pass over it, or stop before it; and why."""

    run: bool
    stop: bool = False
    reason: str = ""


def decide(state: WaveState, *, ignore_gate: bool) -> Decision:
    """Decide for one wave: only those that have not been run to their end are run."""
    if state.unfinished:
        return Decision(run=True)
    again = f"`remediate run FILE --wave {state.wave}` tries again what did not succeed"
    if state.rejected:
        again += f", and the {state.rejected} rejected in review once they are reopened (`remediate reopen KEY`)"
    if state.passed:
        left = state.findings - state.succeeded
        return Decision(
            run=False,
            reason=f"{state.wave} has passed its gate ({state.verdict})"
            + (f"; {left} did not succeed, {again}." if left else "."),
        )
    return Decision(run=False, stop=not ignore_gate, reason=f"{state.wave} failed its gate ({state.verdict}); {again}.")


@dataclass(frozen=True)
class Totals:
    """The ledger in figures; `acus` is None where the API tells none, as v1."""

    planned: int
    succeeded: int
    failed: int
    pull_requests: int
    acus: float | None
    live: int
    unanswered: int
    last_poll_at: datetime | None
    holds: tuple[str, ...]


def totals(connection: DuckDBPyConnection) -> Totals:
    """Load the figures of all waves together."""
    row = connection.execute(
        """
        SELECT (SELECT count(*) FROM wave_findings), count(*) FILTER (is_fixed),
            count(*) FILTER (is_failed), count(pr_url) FILTER (outcome = 'success')
        FROM session_results
        """
    ).fetchone() or (0, 0, 0, 0)
    attempts = connection.execute(
        """
        SELECT sum(acus_consumed), count(*) FILTER (outcome IS NULL AND session_id IS NOT NULL),
            count(*) FILTER (outcome IS NULL AND session_id IS NULL AND claimed_at IS NOT NULL),
            (SELECT last_poll_at FROM state)
        FROM attempts
        """
    ).fetchone() or (None, 0, 0, None)
    holds = tuple(hold.sentence for hold in standing_holds(connection))
    return Totals(*(*row, *attempts, holds))
