"""Verdicts of the gate as they are stored, and the advice that follows from each."""

from dataclasses import dataclass, replace

from remediation_assets.ledger.transaction import Reader, Transaction
from remediation_assets.models import GateVerdict
from remediation_assets.sessions.rules.gate import Verdict, describe

from .rounds import OpenRound, opens_next


@dataclass(frozen=True)
class GateResult:
    """The verdict on a wave's last settled round, and the wave that may follow; `rate` is None if nothing counts."""

    wave: str
    wave_number: int
    round: int
    findings: int
    succeeded: int
    answerable: int
    rate: float | None
    threshold: float
    interval_low: float | None
    interval_high: float | None
    verdict: GateVerdict
    opens: bool
    ignored_gate: bool
    following: str | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return the 95 % interval of the rate, None if nothing counts."""
        if self.interval_low is None or self.interval_high is None:
            return None
        return self.interval_low, self.interval_high

    @property
    def sentence(self) -> str:
        """Return the verdict as a clause."""
        return describe(self.succeeded, self.answerable, self.rate, self.threshold)

    @property
    def advice(self) -> str:
        """Return what to do next, as a sentence."""
        if self.verdict is GateVerdict.NOT_JUDGED and self.opens:
            return "Nothing of it counts and nothing of it is left to run, so the next wave may start."
        if self.verdict is GateVerdict.NOT_JUDGED:
            return f"Nothing of it counts, as after a stop; run {self.wave} again (job remediate_wave)."
        if not self.opens:
            return f"Look at the failures, then run {self.wave} again (job remediate_wave)."
        if self.following:
            return f"{self.following} may start: launch dispatch_wave or remediate_wave for it."
        return "There is no further wave; review the pull requests."


def last_verdict(tx: Reader, wave: str) -> GateResult | None:
    """Load the verdict on a wave's last settled round; None if none has settled."""
    found = tx.one_or_none(
        GateResult,
        """
        SELECT wave, wave_number, round, findings, succeeded, answerable, rate, threshold,
            interval_low, interval_high, verdict, opens, ignored_gate,
            (SELECT min_by(wave, wave_number) FROM waves WHERE wave_number > g.wave_number) AS following
        FROM last_gate_results g WHERE wave = ?
        """,
        [wave],
    )
    # As whoever starts the next wave decides it: of a wave that was not judged, what was left may be closed by now.
    return found and replace(found, opens=opens_next(tx, found.wave_number, found.verdict, opens=found.opens))


def insert_verdict(tx: Transaction, settled: OpenRound, verdict: Verdict) -> None:
    """Store the verdict on a round; a wave's newest verdict decides whether the next wave may start."""
    low, high = verdict.interval or (None, None)
    # A row for each round, none is updated: what an earlier round came to stays readable.
    values = {
        "wave": settled.wave,
        "wave_number": settled.wave_number,
        "round": settled.round,
        "decided_at": tx.now,
        "findings": verdict.findings,
        "succeeded": verdict.succeeded,
        "answerable": verdict.answerable,
        "rate": verdict.rate,
        "threshold": verdict.threshold,
        "interval_low": low,
        "interval_high": high,
        "passed": verdict.passed,
        "verdict": verdict.word,
        "opens": opens_next(tx, settled.wave_number, verdict.word, opens=verdict.opens),
        "ignored_gate": settled.ignored_gate,
    }
    tx.insert("gate_results", values)


@dataclass(frozen=True)
class ShownResult:
    """How a finding of a wave ended, in the word shown to people: a person's decision replaces the outcome."""

    finding_id: str
    shown_outcome: str
    pr_url: str | None
    session_url: str | None
    error_message: str | None


def shown_results(reader: Reader, wave_number: int) -> list[ShownResult]:
    """Load the results that the verdict on a wave rests on, beginning with the findings that are not fixed."""
    return reader.rows(
        ShownResult,
        """
        SELECT finding_id,
            -- A success that a person has rejected or reopened.
            CASE WHEN outcome = 'success' AND NOT is_fixed THEN review ELSE coalesce(outcome, status) END
                AS shown_outcome,
            pr_url, session_url, error_message
        FROM session_results WHERE wave_number = ? ORDER BY is_fixed, position
        """,
        [wave_number],
    )
