"""Which wave may be dispatched next without a person, and why none may."""

from dataclasses import dataclass

from remediation_assets.ledger.transaction import Reader
from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.planning.waves import current_choice
from remediation_assets.sessions.model import FOR_A_PERSON
from remediation_assets.sessions.store.holds import standing_holds
from remediation_assets.sessions.store.rounds import IN_DAGSTER, gate_before, last_started


@dataclass(frozen=True)
class NextWave:
    """The wave to dispatch, or the reason why there is none; `after` names the verdict that it rests on."""

    wave: str | None = None
    after: str = ""
    reason: str = ""


def next_wave(tx: Reader) -> NextWave:
    """Return the wave after the last one that was started, once the last one has passed and is collected.

    There is none after the last wave of the findings that a person chose. Only a person starts the first wave, and the
    next wave after a pause or a stop.
    """
    last = last_started(tx)
    if last is None:
        return NextWave(reason="No wave has been started; launch dispatch_wave for the first.")
    if not last.is_settled:
        return NextWave(reason=f"{last.wave} is under way.")
    # Until then its results are not materialized, and the run that does so is yet to come.
    if not last.is_collected:
        return NextWave(reason=f"{last.wave} has settled and is not collected yet.")
    if last.following is None:
        return NextWave(reason="Every wave has been started.")
    planned = find_wave(tx, last.following)
    # The same rule as for whoever starts it, so that nothing is requested that would be refused.
    closed = gate_before(tx, planned)
    if closed:
        return NextWave(reason=closed.sentence(overrule=IN_DAGSTER))
    if (choice := current_choice(tx)) and not planned.chosen:
        return NextWave(
            reason=f"{last.following} is not started: the waves of the chosen findings ({choice.words}) have been run; "
            "choose others, or plan with --all."
        )
    if last.is_stopped:
        return NextWave(
            reason=f"{last.following} is not started: {last.wave} was stopped by a person; launch dispatch_wave for it."
        )
    hold = next((hold for hold in standing_holds(tx) if hold.kind in FOR_A_PERSON), None)
    if hold:
        return NextWave(reason=f"{last.following} is not started: {hold.sentence}")
    # A plan that was cut again has not been started, whatever was asked for the one before.
    return NextWave(last.following, after=f"{last.wave}-round-{last.round}-plan-{planned.plan_number}")
