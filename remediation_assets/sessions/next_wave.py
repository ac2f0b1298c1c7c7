"""Which wave may be dispatched next without a person, and why none may."""

from dataclasses import dataclass

from duckdb import DuckDBPyConnection

from remediation_assets.planning.wave_plan import find_wave

from .holds import FOR_A_PERSON, standing_holds
from .rounds import gate_before


@dataclass(frozen=True)
class NextWave:
    """The wave to dispatch, or the reason why there is none; `after` names the verdict that it rests on."""

    wave: str | None = None
    after: str = ""
    reason: str = ""


def next_wave(tx: DuckDBPyConnection) -> NextWave:
    """Decide from the ledger: the wave after the last that has been started, once that has passed and is collected.

    The first wave is a person's to start, and so is whatever follows a person's order to pause or to stop.
    """
    last = tx.execute(
        """
        SELECT w.wave, r.round, r.settled_at IS NOT NULL, r.collected_at IS NOT NULL,
            r.stopped_at IS NOT NULL,
            (SELECT min(n.wave) FROM waves n WHERE n.wave_number = (
                SELECT min(wave_number) FROM waves WHERE wave_number > w.wave_number))
        FROM rounds r JOIN waves w USING (wave_number)
        ORDER BY w.wave_number DESC, r.round DESC LIMIT 1
        """
    ).fetchone()
    if last is None:
        return NextWave(reason="No wave has been started; launch dispatch_wave for the first.")
    wave, number, settled, collected, stopped, following = last
    if not settled:
        return NextWave(reason=f"{wave} is under way.")
    if not collected:
        return NextWave(reason=f"{wave} has settled and is not collected yet.")
    if following is None:
        return NextWave(reason="Every wave has been started.")
    planned = find_wave(tx, following)
    closed = gate_before(tx, planned)
    if closed:
        return NextWave(reason=closed)
    if stopped:
        return NextWave(
            reason=f"{following} is not started: {wave} was stopped by a person; launch dispatch_wave for it."
        )
    hold = next((hold for hold in standing_holds(tx) if hold.kind in FOR_A_PERSON), None)
    if hold:
        return NextWave(reason=f"{following} is not started: {hold.sentence}")
    # A plan that was cut anew has not been started, whatever was asked for the one before.
    return NextWave(following, after=f"{wave}-round-{number}-plan-{planned.plan_number}")
