"""What a person's control commands do to the ledger: pause, resume, and stop, which cancels attempts."""

from remediation_assets.ledger.transaction import Reader, Transaction
from remediation_assets.models import EventType, Outcome
from remediation_assets.planning.wave_plan import find_wave
from remediation_assets.sessions.model import FOR_A_PERSON, HoldKind, Phase
from remediation_assets.sessions.store import attempts
from remediation_assets.sessions.store.attempts import open_of_round, update_attempt
from remediation_assets.sessions.store.duplicate_audit import unterminated_duplicates
from remediation_assets.sessions.store.holds import lift, probe_at_once, set_hold
from remediation_assets.sessions.store.rounds import mark_stopped, open_rounds
from remediation_assets.sessions.store.runs import note_run_completed

from .terminate import end_attempt

STOPPED_BY_A_PERSON = "stopped by a person"


def pause(tx: Transaction, reason: str) -> None:
    """Dispatch nothing more until a person resumes; live sessions continue and are still polled."""
    set_hold(tx, HoldKind.PERSON, reason)


def resume(tx: Transaction) -> int:
    """Lift the holds that only a person lifts, and make all probes due; return how many holds were lifted."""
    probe_at_once(tx)
    lifted = lift(tx, FOR_A_PERSON)
    # The last round may have settled while the hold stood.
    note_run_completed(tx)
    return lifted


def stop(tx: Transaction, wave: str | None) -> int:
    """Cancel the open attempts of a wave, or of all waves: none is sent, and their sessions are to be terminated.

    Return how many attempts were open. A claimed attempt is cancelled once it is known whether it has a session.
    Raise UnknownWave if there is no such wave.
    """
    wave_number = find_wave(tx, wave).wave_number if wave is not None else None
    stopped = 0
    for open_round in open_rounds(tx):
        if wave_number not in (None, open_round.wave_number):
            continue
        # On the round too: cancelled attempts alone would not keep those that failed before from being retried.
        mark_stopped(tx, open_round)
        for attempt in open_of_round(tx, open_round.wave_number, open_round.round):
            stopped += 1
            # Its request may have made a session: ended now, nobody would look for that one and terminate it.
            if attempt.phase is Phase.CLAIMED:
                update_attempt(tx, attempt, cancel_wanted_at=tx.now)
            else:
                end_attempt(tx, attempt, Outcome.CANCELLED, STOPPED_BY_A_PERSON)
        message = f"wave {open_round.wave_number} round {open_round.round} {STOPPED_BY_A_PERSON}"
        tx.record(EventType.WAVE_STOPPED, message, wave_number=open_round.wave_number)
    return stopped


def count_unterminated(tx: Reader) -> int:
    """Count the sessions still to be terminated, duplicates too, and claims to be cancelled that may have one."""
    return attempts.count_unterminated(tx) + len(unterminated_duplicates(tx))
