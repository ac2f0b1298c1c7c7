"""When the work on all waves began and ended: a run, from a first claim until nothing is left to do."""

from datetime import datetime

from remediation_assets.ledger.transaction import Reader, Transaction
from remediation_assets.models import EventType, GateVerdict, RunStatus
from remediation_assets.sessions.rules.run_status import Progress, run_status

from .attempts import OPEN
from .rounds import opens_next

_OF_RUNS = [EventType.RUN_STARTED, EventType.RUN_COMPLETED]


def note_run_started(tx: Transaction) -> None:
    """Record that a run starts, unless one is under way; called before a claim is written."""
    # Asked first, because this runs before every chunk and a look at all events costs more. It also keeps an older
    # version's sessions from being taken for a run that starts only now.
    if tx.scalar(f"SELECT EXISTS (FROM attempts WHERE {OPEN})"):
        return
    if _last_event(tx) is not EventType.RUN_STARTED:
        waves = tx.scalar("SELECT count(*) FROM waves")
        findings = tx.scalar("SELECT count(*) FROM wave_findings")
        tx.record(EventType.RUN_STARTED, f"Run started: {findings} findings are planned in {waves} waves")


def note_run_completed(tx: Transaction) -> None:
    """Record that the run has completed, if it has; called when a round has settled, and when a hold is lifted."""
    if current_status(tx) is RunStatus.COMPLETED and _last_event(tx) is not EventType.RUN_COMPLETED:
        tx.record(EventType.RUN_COMPLETED, "Run completed: every wave has settled, and no gate failed")


def last_run_started(tx: Reader) -> datetime | None:
    """Return when the last run started, None if none is known."""
    at: datetime | None = tx.scalar(
        'SELECT max("timestamp") FROM session_events WHERE event_type = ?', [EventType.RUN_STARTED]
    )
    return at


def current_status(tx: Reader) -> RunStatus:
    """Return how far the work on all waves is."""
    return run_status(
        Progress(
            # A claim that was returned to pending keeps its request.
            has_claimed=bool(
                tx.scalar("SELECT EXISTS (FROM attempts WHERE claimed_at IS NOT NULL OR request IS NOT NULL)")
            ),
            open_attempts=tx.scalar(f"SELECT count(*) FROM attempts WHERE {OPEN}"),
            # One whose end has come is lifted by the next step, of which there is none if nothing is under way.
            holds=tx.scalar("SELECT count(*) FROM holds WHERE lifted_at IS NULL AND coalesce(ends_at > now(), true)"),
            waves_left=_waves_left(tx),
        )
    )


def _waves_left(tx: Reader) -> int:
    rows = tx.execute(
        """
        SELECT w.wave_number, g.verdict
        FROM waves w
        LEFT JOIN last_rounds r USING (wave_number)
        -- The verdict of the last round: a wave that is run again has none for now.
        LEFT JOIN gate_results g ON g.wave_number = r.wave_number AND g.round = r.round
        WHERE g.opens IS DISTINCT FROM true
        """
    ).fetchall()
    return sum(
        verdict != GateVerdict.NOT_JUDGED or not opens_next(tx, number, GateVerdict(verdict), opens=False)
        for number, verdict in rows
    )


def _last_event(tx: Reader) -> EventType | None:
    found = tx.column(
        "SELECT event_type FROM session_events WHERE list_contains(?, event_type) ORDER BY event_id DESC LIMIT 1",
        [_OF_RUNS],
    )
    return EventType(found[0]) if found else None
