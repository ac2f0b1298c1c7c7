"""Which wave may be dispatched next without a person, and why none may."""

from dataclasses import dataclass

from remediation_assets.ledger.transaction import Reader
from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.sessions.model import FOR_A_PERSON
from remediation_assets.sessions.store.holds import standing_holds
from remediation_assets.sessions.store.rounds import gate_before


@dataclass(frozen=True)
class NextWave:
    """The wave to dispatch, or the reason why there is none; `after` names the verdict that it rests on."""

    wave: str | None = None
    after: str = ""
    reason: str = ""


@dataclass(frozen=True)
class _LastStarted:
    wave: str
    round: int
    is_settled: bool
    is_collected: bool
    is_stopped: bool
    following: str | None


def next_wave(tx: Reader) -> NextWave:
    """Decide from the ledger: the wave after the last that has been started, once that has passed and is collected.

    The first wave is a person's to start, and so is whatever follows a person's command to pause or to stop.
    """
    last = tx.one_or_none(
        _LastStarted,
        """
        SELECT w.wave, r.round, r.settled_at IS NOT NULL AS is_settled, r.collected_at IS NOT NULL AS is_collected,
            r.stopped_at IS NOT NULL AS is_stopped,
            (SELECT min_by(n.wave, n.wave_number) FROM waves n WHERE n.wave_number > w.wave_number) AS following
        FROM last_rounds r JOIN waves w USING (wave_number)
        ORDER BY w.wave_number DESC LIMIT 1
        """,
    )
    if last is None:
        return NextWave(reason="No wave has been started; launch dispatch_wave for the first.")
    if not last.is_settled:
        return NextWave(reason=f"{last.wave} is under way.")
    if not last.is_collected:
        return NextWave(reason=f"{last.wave} has settled and is not collected yet.")
    if last.following is None:
        return NextWave(reason="Every wave has been started.")
    planned = find_wave(tx, last.following)
    closed = gate_before(tx, planned)
    if closed:
        return NextWave(reason=closed)
    if last.is_stopped:
        return NextWave(
            reason=f"{last.following} is not started: {last.wave} was stopped by a person; launch dispatch_wave for it."
        )
    hold = next((hold for hold in standing_holds(tx) if hold.kind in FOR_A_PERSON), None)
    if hold:
        return NextWave(reason=f"{last.following} is not started: {hold.sentence}")
    # A plan that was cut again has not been started, whatever was asked for the one before.
    return NextWave(last.following, after=f"{last.wave}-round-{last.round}-plan-{planned.plan_number}")
