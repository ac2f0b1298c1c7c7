"""What people are told at once, wherever they are: a wave has settled, a hold has begun."""

from collections import Counter
from collections.abc import Sequence

from duckdb import DuckDBPyConnection

from remediation_assets.slack import Message, Part, emoji, link, text

from .verdicts import last_verdict

ANNOUNCED = ("hold_set", "wave_completed", "wave_gated")
"""The events that people are told of."""

_MOST_LINES = 10


def announcements(tx: DuckDBPyConnection, event_ids: Sequence[int]) -> list[Message]:
    """Write a message for each of some events that was kept and is announced."""
    events = tx.execute(
        """
        SELECT e.event_type, e.message, w.wave, e.wave_number FROM session_events e
        LEFT JOIN waves w ON w.wave_number = e.wave_number
        WHERE list_contains(?, e.event_id) AND list_contains(?, e.event_type) ORDER BY e.event_id
        """,
        [list(event_ids), list(ANNOUNCED)],
    ).fetchall()
    return [
        Message("Dispatching is on hold.", [[emoji("double_vertical_bar"), text(f" {message}")]])
        if event_type == "hold_set"
        else _settled(tx, wave, wave_number)
        for event_type, message, wave, wave_number in events
    ]


def _settled(tx: DuckDBPyConnection, wave: str, wave_number: int) -> Message:
    verdict = last_verdict(tx, wave)
    assert verdict is not None  # it was written together with the event
    results = tx.execute(
        """
        SELECT finding_id,
            CASE WHEN outcome = 'success' AND NOT is_fixed THEN review ELSE coalesce(outcome, status) END,
            pr_url, session_url, error_message
        FROM session_results WHERE wave_number = ? ORDER BY is_fixed, position
        """,
        [wave_number],
    ).fetchall()
    counts = Counter(outcome for _, outcome, *_ in results)
    how = "passed" if verdict.passed else "failed"
    lines: list[Sequence[Part]] = [
        [
            emoji("white_check_mark" if verdict.passed else "octagonal_sign"),
            text(f" {wave}", bold=True),
            text(f" round {verdict.round} has settled, gate {how}: {verdict.sentence}."),
        ],
        [text(", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()) + ".")],
        *(_line(*result) for result in results[:_MOST_LINES]),
    ]
    if len(results) > _MOST_LINES:
        lines.append([text(f"and {len(results) - _MOST_LINES} more")])
    lines.append([text(verdict.advice)])
    return Message(f"{wave} has settled, its gate {how}.", lines)


def _line(finding_id: str, outcome: str, pr_url: str | None, session_url: str | None, why: str | None) -> list[Part]:
    reason = f" ({why[:120]})" if why and outcome != "success" else ""
    return [
        text(f"• {finding_id[:80]} {outcome}{reason}"),
        *link(pr_url, "pull request"),
        *link(session_url, "session"),
    ]
