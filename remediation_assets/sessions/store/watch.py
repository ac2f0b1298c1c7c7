"""The clock of timeouts: seconds in which sessions were polled and no hold stood; the wall clock does not move it."""

from datetime import datetime

from remediation_assets.ledger.transaction import Reader, Transaction


def last_poll(tx: Reader) -> datetime | None:
    """Return when the last poll began, None if there was none."""
    at: datetime | None = tx.scalar("SELECT last_poll_at FROM state")
    return at


def watched_seconds(tx: Reader) -> float:
    """Return the clock's reading; an attempt has been watched for this reading minus its `watched_from`."""
    return float(tx.scalar("SELECT watched_seconds FROM state"))


def note_poll(tx: Transaction, begun: datetime, counted: float) -> None:
    """Note a poll, and advance the clock by the seconds that count."""
    tx.execute("UPDATE state SET watched_seconds = watched_seconds + ?, last_poll_at = ?", [counted, begun])
