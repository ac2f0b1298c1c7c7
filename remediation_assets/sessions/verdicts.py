"""Verdicts of the gate as they are kept, and what a person does after each."""

from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from .gate import describe


@dataclass(frozen=True)
class GateResult:
    """The verdict on a wave's last settled round, and the wave that may follow; `rate` is None where nothing counts."""

    wave: str
    round: int
    findings: int
    succeeded: int
    answerable: int
    rate: float | None
    threshold: float
    interval: tuple[float, float] | None
    passed: bool
    ignored_gate: bool
    following: str | None

    @property
    def sentence(self) -> str:
        """Tell the verdict in one sentence part."""
        return describe(self.succeeded, self.answerable, self.rate, self.threshold)

    @property
    def advice(self) -> str:
        """Say what to do next."""
        if not self.passed:
            return f"Look at the failures, then run {self.wave} again."
        if self.following:
            return f"{self.following} may start: launch dispatch_wave or remediate_wave for it."
        return "There is no further wave; review the pull requests."


def last_verdict(tx: DuckDBPyConnection, wave: str) -> GateResult | None:
    """Load the verdict on a wave's last settled round; None where none has settled."""
    row = tx.execute(
        """
        SELECT wave, round, findings, succeeded, answerable, rate, threshold,
            interval_low, interval_high, passed, ignored_gate,
            (SELECT min_by(wave, wave_number) FROM waves WHERE wave_number > g.wave_number)
        FROM gate_results g WHERE wave = ? ORDER BY round DESC LIMIT 1
        """,
        [wave],
    ).fetchone()
    if row is None:
        return None
    name, number, findings, succeeded, answerable, rate, threshold, low, high, passed, ignored_gate, following = row
    interval = None if low is None else (low, high)
    return GateResult(
        name,
        number,
        findings,
        succeeded,
        answerable,
        rate,
        threshold,
        interval,
        passed,
        ignored_gate,
        following,
    )
