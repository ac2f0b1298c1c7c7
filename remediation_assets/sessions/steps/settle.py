"""Settle rounds: insert the retries that are due, or write the verdict of the gate.

The pure function `next_step` decides; this module reads and writes the ledger in the caller's transaction.
"""

from dataclasses import replace

from remediation_assets.ledger.transaction import Transaction
from remediation_assets.models import EventType, GateVerdict
from remediation_assets.planning.wave_plan import planned_keys
from remediation_assets.planning.waves import freeze_waves
from remediation_assets.sessions.model import Attempt
from remediation_assets.sessions.policy import Policy
from remediation_assets.sessions.rules.gate import Verdict
from remediation_assets.sessions.rules.retry import RoundState, next_step
from remediation_assets.sessions.store.attempts import NewAttempt, insert_attempt, last_of_finding, of_wave
from remediation_assets.sessions.store.closed_findings import closed_findings
from remediation_assets.sessions.store.gate_results import insert_verdict
from remediation_assets.sessions.store.reviews import not_standing
from remediation_assets.sessions.store.rounds import OpenRound, mark_settled, open_rounds
from remediation_assets.sessions.store.runs import note_run_completed

_EVENTS = {
    GateVerdict.PASSED: EventType.WAVE_COMPLETED,
    GateVerdict.FAILED: EventType.WAVE_GATED,
    GateVerdict.NOT_JUDGED: EventType.WAVE_NOT_JUDGED,
}


def settle_rounds(tx: Transaction, policy: Policy) -> list[str]:
    """Take the next step of every open round; return the waves that settled."""
    settled = []
    for open_round in open_rounds(tx):
        state = RoundState(
            attempts=of_wave(tx, open_round.wave_number),
            findings=planned_keys(tx, open_round.wave_number),
            number=open_round.round,
            not_standing=not_standing(tx, open_round.wave_number),
        )
        # What a person has stopped gets its verdict and is not tried again by itself.
        max_retries = 0 if open_round.is_stopped else policy.max_retries
        step = next_step(state, min_success_rate=policy.min_success_rate, max_retries=max_retries)
        if step.retries:
            # Retries are rare and this runs with every tick: only now does it matter which findings are closed.
            retried = [attempt.finding_key for attempt in step.retries]
            state = replace(state, closed=closed_findings(tx, open_round.wave_number, retried))
            step = next_step(state, min_success_rate=policy.min_success_rate, max_retries=max_retries)
        for attempt in step.retries:
            _insert_retry(tx, attempt)
        # Unconfirmed: a create request without an answer may still have made a session, and a wave that has settled is
        # listed no more. The verdict waits for the duplicate check.
        if step.verdict and not open_round.is_unconfirmed:
            _settle(tx, open_round, step.verdict)
            settled.append(open_round.wave)
    if settled:
        note_run_completed(tx)
    return settled


def _insert_retry(tx: Transaction, failed: Attempt) -> None:
    # Not `failed` itself: the finding's attempts are numbered over all rounds, because the number is part of the tag.
    last = last_of_finding(tx, failed.finding_key)
    insert_attempt(
        tx,
        NewAttempt(
            finding_key=failed.finding_key,
            attempt=last.attempt + 1,
            wave_number=failed.wave_number,
            round=failed.round,
            is_retry=True,
            # The version of before: a retry repeats the try, and an edited playbook comes with the next round.
            playbook=last.playbook,
            playbook_version=last.playbook_version,
            created_at=tx.now,
        ),
    )
    tx.record(EventType.SESSION_RETRIED, f"{failed.label} {failed.status}, to be tried again", attempt=failed)


def _settle(tx: Transaction, settled: OpenRound, verdict: Verdict) -> None:
    # Both in one transaction: a round that has settled without a verdict would keep the next wave's gate closed.
    insert_verdict(tx, settled, verdict)
    mark_settled(tx, settled)
    # Also if nothing was ever claimed, as in a round that was stopped: a verdict belongs to this cut of the wave.
    freeze_waves(tx, [settled.wave_number], at=tx.now)
    tx.record(
        _EVENTS[verdict.word],
        f"{settled.wave} round {settled.round} settled, gate {verdict.word.words}: {verdict.sentence}",
        wave_number=settled.wave_number,
    )
