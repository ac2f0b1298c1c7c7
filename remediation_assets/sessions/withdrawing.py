"""Withdrawing: what the last scan no longer has is not dispatched any more."""

from duckdb import DuckDBPyConnection

from remediation_assets.models import Outcome

from .attempts import load_attempts
from .ending import end_attempt
from .events import Timeline

GONE = "the last scan does not have it any more"


def withdraw_gone(tx: DuckDBPyConnection, timeline: Timeline) -> None:
    """Cancel the pending attempts of findings that are gone; nothing was sent for them, and they count for no gate.

    Only where the findings that were read last have been merged: in between nothing is known of them.
    """
    for attempt in load_attempts(
        tx,
        """
        a.claimed_at IS NULL AND a.outcome IS NULL
        AND (SELECT merged_version = findings_version FROM state)
        AND a.finding_key NOT IN (SELECT finding_key FROM kept_findings)
        """,
    ):
        end_attempt(tx, attempt, Outcome.CANCELLED, GONE, timeline)
