"""What people are told at once, wherever they are: a wave has settled, a hold has begun."""

from collections import Counter
from collections.abc import Sequence

from duckdb import DuckDBPyConnection

from remediation_assets.escaping import for_slack, slack_link

from .gate import describe

ANNOUNCED = ("hold_set", "wave_completed", "wave_gated")
"""The events that people are told of."""

_MOST_LINES = 10


def announcements(tx: DuckDBPyConnection, event_ids: Sequence[int]) -> list[str]:
    """Write a Slack message for each of some events that is kept and announced; of one change there is one message."""
    events = tx.execute(
        """
        SELECT event_type, message, wave_number FROM session_events
        WHERE list_contains(?, event_id) AND list_contains(?, event_type) ORDER BY event_id
        """,
        [list(event_ids), list(ANNOUNCED)],
    ).fetchall()
    return [
        f":double_vertical_bar: {for_slack(message)}" if event_type == "hold_set" else _settled(tx, wave_number)
        for event_type, message, wave_number in events
    ]


def _settled(tx: DuckDBPyConnection, wave_number: int) -> str:
    [(wave, number, passed, succeeded, answerable, rate, threshold)] = tx.execute(
        """
        SELECT wave, round, passed, succeeded, answerable, rate, threshold FROM gate_results
        WHERE wave_number = ? ORDER BY round DESC LIMIT 1
        """,
        [wave_number],
    ).fetchall()
    results = tx.execute(
        """
        SELECT finding_id, coalesce(outcome, status), pr_url, session_url, error_message FROM session_results
        WHERE wave_number = ? ORDER BY outcome = 'success', position
        """,
        [wave_number],
    ).fetchall()
    counts = Counter(outcome for _, outcome, *_ in results)
    lines = [
        f"{':white_check_mark:' if passed else ':octagonal_sign:'} *{wave}* round {number} has settled, gate "
        f"{'passed' if passed else '*failed*'}: {describe(succeeded, answerable, rate, threshold)}.",
        ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()) + ".",
        *map(_line, results[:_MOST_LINES]),
    ]
    if len(results) > _MOST_LINES:
        lines.append(f"and {len(results) - _MOST_LINES} more")
    if not passed:
        lines.append(f"No further wave starts. Look at the failures, then run {wave} again.")
    return "\n".join(lines)


def _line(result: tuple[str, str, str | None, str | None, str | None]) -> str:
    finding_id, outcome, pr_url, session_url, why = result
    links = [link for link in (slack_link(pr_url, "pull request"), slack_link(session_url, "session")) if link]
    reason = "" if outcome == "success" or not why else f" ({for_slack(why[:120])})"
    return f"• {for_slack(finding_id[:80])} {outcome}{reason} {' '.join(links)}".rstrip()
