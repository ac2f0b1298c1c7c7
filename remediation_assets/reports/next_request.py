"""The next create request for one finding, for people who want to see the request before it costs anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remediation_assets.errors import RemediationError
from remediation_assets.ledger.transaction import Reader, Transaction
from remediation_assets.models import FindingCategory, Outcome
from remediation_assets.planning.playbooks import PlaybookText
from remediation_assets.planning.wave_plan import PlannedFinding, find_finding, plan_sessions
from remediation_assets.planning.waves import wave_name
from remediation_assets.sessions.model import Attempt, Phase
from remediation_assets.sessions.rules.retry import may_be_retried
from remediation_assets.sessions.steps.session_request import NewRequest, RequestContext, build_request, new_request
from remediation_assets.sessions.store.attempts import of_finding
from remediation_assets.sessions.store.reviews import reopened_attempts
from remediation_assets.sessions.store.rounds import is_open


class NothingToSend(RemediationError):
    """A finding for which no session would be started; the text says why."""


@dataclass(frozen=True)
class NextCreateRequest:
    """What would be sent for a finding and when, and the playbook that goes with it."""

    wave: str
    when: str
    playbook: PlaybookText
    request: dict[str, Any]


def next_request(
    tx: Transaction, name: str, playbooks: Mapping[FindingCategory, PlaybookText], context: RequestContext
) -> NextCreateRequest:
    """Build the next create request for a finding, named by its id or its key.

    Plan the finding's wave first, as every dispatch does; send nothing. Raise NothingToSend if no session would be
    started for the finding, and UnknownFinding if it is not planned.
    """
    finding = find_finding(tx, name)
    wave = wave_name(finding.wave_number)
    # What is shown has to come from the plan that a dispatch would use, not from an older one.
    plan_sessions(tx, wave, playbooks, ledger_id=context.ledger_id, draw_delimiter=context.draw_delimiter)
    attempts = of_finding(tx, finding.finding_key)
    last = max(attempts, key=lambda attempt: attempt.attempt, default=None)
    reopened = reopened_attempts(tx, finding.finding_key)
    # As a round chooses: a success of any attempt counts, unless a person has reopened it.
    if any(attempt.outcome is Outcome.SUCCESS and attempt.attempt not in reopened for attempt in attempts):
        raise NothingToSend(f"{name} has succeeded; nothing is sent for it any more unless it is reopened.")
    if last and last.phase in (Phase.CLAIMED, Phase.LIVE):
        raise NothingToSend(f"{name} is at work with attempt {last.attempt}; `remediate status` tells how far.")
    if last and last.phase is Phase.PENDING:
        return NextCreateRequest(
            wave, "as soon as a slot is free", _playbook_of(tx, last), build_request(tx, last, context)
        )
    # Without knowing yet whether the round passes: that shows when all its first attempts have ended.
    retry = last if last and _may_be_retried_in_its_round(tx, last, attempts, context.policy.max_retries) else None
    when = "in this round, if its first attempts pass the gate" if retry else f"with the next round of {wave}"
    playbook = _playbook_of(tx, retry) if retry else _planned_playbook(tx, finding, playbooks)
    uploaded = tx.column(
        "SELECT playbook_id FROM playbook_versions WHERE playbook = ? AND playbook_version = ?",
        [playbook.name, playbook.version],
    )
    of = NewRequest(
        finding_key=finding.finding_key,
        number=last.attempt + 1 if last else 1,
        wave_number=finding.wave_number,
        playbook_id=uploaded[0] if uploaded else None,
    )
    return NextCreateRequest(wave, when, playbook, new_request(tx, of, context))


def _may_be_retried_in_its_round(tx: Reader, last: Attempt, attempts: Sequence[Attempt], max_retries: int) -> bool:
    of_round = [attempt for attempt in attempts if attempt.round == last.round]
    return is_open(tx, last.wave_number, last.round) and may_be_retried(of_round, max_retries)


def _planned_playbook(
    tx: Reader, planned: PlannedFinding, playbooks: Mapping[FindingCategory, PlaybookText]
) -> PlaybookText:
    category = tx.scalar(
        "SELECT category FROM wave_plan WHERE finding_key = ? AND wave_number = ?",
        [planned.finding_key, planned.wave_number],
    )
    return playbooks[FindingCategory(category)]


def _playbook_of(tx: Reader, attempt: Attempt) -> PlaybookText:
    return tx.one(
        PlaybookText,
        """
        SELECT v.playbook AS name, v.body FROM attempts a JOIN playbook_versions v USING (playbook, playbook_version)
        WHERE a.finding_key = ? AND a.attempt = ?
        """,
        [attempt.finding_key, attempt.attempt],
    )
