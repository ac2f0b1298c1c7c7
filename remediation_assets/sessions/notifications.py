"""Notifications to Slack of the events that people wait for: a wave has settled, a hold has begun."""

import logging
from collections import Counter
from collections.abc import Sequence

from pydantic import SecretStr

from remediation_assets.errors import RemediationError
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Event, Journal, Reader
from remediation_assets.models import EventType
from remediation_assets.sessions.store.events import wave_of
from remediation_assets.sessions.store.gate_results import ShownResult, last_verdict, shown_results
from remediation_assets.slack import Message, Part, announce, emoji, link, text

logger = logging.getLogger(__name__)

ANNOUNCED = (EventType.HOLD_SET, EventType.WAVE_COMPLETED, EventType.WAVE_GATED, EventType.WAVE_NOT_JUDGED)
"""The events that people are notified of."""

_MOST_LINES = 10


def announce_events(ledger: Ledger, webhook: SecretStr, journal: Journal) -> None:
    """Notify Slack, if it is set up, of those events of a step that people wait for."""
    events = [event for event in journal.events if event.event_type in ANNOUNCED]
    if not events or not webhook.get_secret_value():
        return
    try:
        with ledger.transaction() as tx:
            messages = announcements(tx, events)
    # A step never fails because somebody could not be notified of it.
    except RemediationError as error:
        logger.warning("Slack is not notified of this step: %s", error)
    else:
        announce(webhook, messages)


def announcements(reader: Reader, events: Sequence[Event]) -> list[Message]:
    """Return a message for each given event that is to be announced."""
    return [
        Message("Dispatching is on hold.", [[emoji("double_vertical_bar"), text(f" {event.message}")]])
        if event.event_type is EventType.HOLD_SET
        else _settled(reader, event)
        for event in events
    ]


def _settled(reader: Reader, event: Event) -> Message:
    wave = wave_of(reader, event.event_id)
    verdict = last_verdict(reader, wave)
    assert verdict is not None  # it was written together with the event
    results = shown_results(reader, verdict.wave_number)
    counts = Counter(result.shown_outcome for result in results)
    how = verdict.verdict.words
    lines: list[Sequence[Part]] = [
        [
            emoji("white_check_mark" if verdict.opens else "octagonal_sign"),
            text(f" {wave}", bold=True),
            text(f" round {verdict.round} has settled, gate {how}: {verdict.sentence}."),
        ],
        [text(", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()) + ".")],
        *(_line(result) for result in results[:_MOST_LINES]),
    ]
    if len(results) > _MOST_LINES:
        lines.append([text(f"and {len(results) - _MOST_LINES} more")])
    lines.append([text(verdict.advice)])
    return Message(f"{wave} has settled, its gate {how}.", lines)


def _line(result: ShownResult) -> list[Part]:
    why = result.error_message
    reason = f" ({why[:120]})" if why and result.shown_outcome != "success" else ""
    return [
        text(f"• {result.finding_id[:80]} {result.shown_outcome}{reason}"),
        *link(result.pr_url, "pull request"),
        *link(result.session_url, "session"),
    ]
