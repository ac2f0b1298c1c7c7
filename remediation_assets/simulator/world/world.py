"""The simulated Devin itself: the sessions that all processes of a data directory share.

This module has what can be done to the sessions from outside; how requests look on the wire is decided elsewhere.
"""

import json
import logging
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

from pydantic import BaseModel, ConfigDict

from .faults import Fault, Faults
from .limits import check_limits, suspends_for_quota
from .playbooks import Playbooks
from .rows import SESSIONS, VISIBLE, hash_of, insert_session, replace_tags, session_with_prompt
from .schedule import Schedule, Task, schedule_for, subject_of, task_of
from .stages import Appearance, Life, appearance, milestones, vanishes_after
from .store import Store

logger = logging.getLogger(__name__)

_warned_of: set[Path] = set()  # worlds whose different settings this process has logged


class SimulatedSession(BaseModel):
    """A snapshot of a session of the world; `shows` is what the API reports about the session."""

    model_config = ConfigDict(frozen=True)

    number: int
    session_id: str
    org_id: str
    title: str | None
    playbook_id: str | None
    tags: tuple[str, ...]
    life: Life
    is_archived: bool
    shows: Appearance
    is_new: bool = True

    @property
    def url(self) -> str:
        """Return the address of the session's page."""
        return f"https://app.devin.ai/sessions/{self.session_id.removeprefix('devin-')}"


class Details(TypedDict, total=False):
    """What a session may be created with besides its prompt."""

    title: str | None
    tags: Sequence[str]
    playbook_id: str | None
    repos: Sequence[str]


class World:
    """A durable world in the file at `path`, with the seed, time scale and faults it was created with."""

    def __init__(
        self,
        path: Path,
        seed: int,
        time_scale: float,
        clock: Callable[[], float] = time.time,
        faults: Faults | None = None,
    ) -> None:
        """Open the world, or create it with this seed, time scale and faults if there is none.

        `clock` returns unix seconds.
        """
        self._store = Store(path)
        self._clock = clock
        self.playbooks = Playbooks(self._store, clock)
        requested = (seed, time_scale, str(faults or Faults()))
        # What the first process wrote holds for all: with settings of their own, two processes that share
        # the file would see two different courses of one session.
        with self._store.writing() as store:
            store.execute(
                "INSERT INTO world (seed, time_scale, faults, made_at)"
                " SELECT ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM world)",
                (*requested, clock()),
            )
            created = store.execute("SELECT seed, time_scale, faults, made_at FROM world").fetchone()
        self.seed: int = created["seed"]
        self.time_scale: float = created["time_scale"]
        self._made_at: float = created["made_at"]
        if requested != (self.seed, self.time_scale, created["faults"]) and path not in _warned_of:
            _warned_of.add(path)
            logger.warning(
                "The simulator's world %s was made with MOCK_SEED=%s, MOCK_TIME_SCALE=%g and MOCK_FAULTS=%s and keeps "
                "them; run `remediate reset` to begin another.",
                path,
                self.seed,
                self.time_scale,
                created["faults"],
            )

    @property
    def age(self) -> float:
        """Return the seconds since the world was created."""
        return self._clock() - self._made_at

    @property
    def faults(self) -> Faults:
        """Return the faults that are set; every process sees a change at once."""
        return Faults.read(self._store.rows(_FAULTS)[0][0])

    def set_faults(self, faults: Faults) -> None:
        """Replace the faults from now on."""
        with self._store.writing() as store:
            store.execute("UPDATE world SET faults = ?", (str(faults),))

    def close(self) -> None:
        """Close the world, which stays in its file."""
        self._store.close()

    def fault_of_post(self, subject: str) -> Fault | None:
        """Count a create request, and draw the fault it meets."""
        faults = self.faults
        if not faults.meet_posts:
            return None
        with self._store.writing() as store:
            sent = store.execute(
                "INSERT INTO posts (subject, sent) VALUES (?, 1)"
                " ON CONFLICT (subject) DO UPDATE SET sent = sent + 1 RETURNING sent",
                (subject,),
            ).fetchone()["sent"]
        return faults.of_post(self.seed, subject, sent)

    def create_session(
        self,
        org_id: str,
        prompt: str,
        *,
        idempotent: bool = False,
        **details: Unpack[Details],
    ) -> SimulatedSession:
        """Create a session; everything that will happen to the session by itself is decided now.

        If the request is `idempotent`, a session that already has this very prompt is returned instead,
        whatever became of it. Raise AccountRefuses if the account's limits do not allow another one.
        """
        # One transaction: of two idempotent requests at the same moment, one must find the other's session.
        with self._store.writing() as store:
            session_id = session_with_prompt(store, org_id, prompt) if idempotent else None
            is_new = session_id is None
            if session_id is None:
                session_id = self._insert(store, org_id, prompt, details)
        return self._known(org_id, session_id).model_copy(update={"is_new": is_new})

    def _insert(self, store: sqlite3.Connection, org_id: str, prompt: str, details: Details) -> str:
        now, faults, tags = self._clock(), _faults(store), details.get("tags", ())
        check_limits(store, org_id, faults, now)
        suspends = suspends_for_quota(store, org_id, faults, creating=1)
        if suspends:
            self._suspend_all(store, org_id, now)
        schedule = schedule_for(self.seed, subject_of(tags, prompt), faults)
        vanishes = vanishes_after(schedule)
        session_id = f"devin-{uuid.uuid4().hex}"
        columns = {
            "session_id": session_id,
            "org_id": org_id,
            "title": details.get("title"),
            "playbook_id": details.get("playbook_id"),
            "schedule": schedule.model_dump_json(),
            "task": task_of(prompt, details.get("repos", ())).model_dump_json(),
            "prompt_hash": hash_of(prompt),
            "created_at": now,
            "halted_at": now if suspends else None,
            "gone_at": None if vanishes is None else now + vanishes / self.time_scale,
        }
        insert_session(store, columns, tags)
        return session_id

    def _suspend_all(self, store: sqlite3.Connection, org_id: str, now: float) -> None:
        """Suspend every session that is at work, for lack of quota."""
        at_work = f"{SESSIONS} AND ended_at IS NULL AND asleep_since IS NULL AND halted_at IS NULL"
        for row in store.execute(at_work, (org_id,)).fetchall():
            session = self._session(row)
            if session.shows.is_at_work:
                store.execute("UPDATE sessions SET halted_at = ? WHERE session_id = ?", (now, session.session_id))

    def session(self, org_id: str, session_id: str) -> SimulatedSession | None:
        """Return one session, or None if there is none of this id."""
        rows = self._store.rows(f"{SESSIONS}{VISIBLE} AND session_id = ?", (org_id, self._clock(), session_id))
        return self._session(rows[0]) if rows else None

    def sessions(
        self, org_id: str, tags: Sequence[str], first: int, before: int | None, skip: int = 0
    ) -> list[SimulatedSession]:
        """Return up to `first` sessions that have all the tags, newest first, beyond number `before`."""
        # Every tag is required. The real v3 does not document whether several mean all or any of them.
        # `before` is v3's cursor and `skip` v1's offset: the first stays put while sessions are created, the
        # second moves, as at the real ones.
        now, lag = self._clock(), self.faults.get("list_lag")
        tagged = " AND session_id IN (SELECT session_id FROM session_tags WHERE tag = ?)" * len(tags)
        older = " AND number < ?" if before is not None else ""
        cursor = () if before is None else (before,)
        sql = f"{SESSIONS}{VISIBLE} AND created_at <= ?{tagged}{older} ORDER BY number DESC LIMIT ? OFFSET ?"
        values = (org_id, now, now - lag.amount if lag else now, *tags, *cursor, first, skip)
        return [self._session(row) for row in self._store.rows(sql, values)]

    def end_session(self, session: SimulatedSession, *, archive: bool) -> SimulatedSession:
        """Terminate a session for good; a second time changes nothing."""
        return self._change(
            session,
            "ended_at = coalesce(ended_at, ?), is_archived = is_archived OR ?",
            (self._clock(), archive),
        )

    def archive_session(self, session: SimulatedSession) -> SimulatedSession:
        """Archive a session and suspend it, if it is not already."""
        return self._change(session, "asleep_since = coalesce(asleep_since, ?), is_archived = TRUE", (self._clock(),))

    def send_message(self, session: SimulatedSession, text: str) -> SimulatedSession:
        """Record a user's message, which resumes a suspended session; without quota it stays suspended."""
        with self._store.writing() as store:
            now = self._clock()
            # Read again: another process may have changed it since the caller read it.
            session = self._read(store, session)
            life = session.life
            store.execute(
                "INSERT INTO user_messages (session_id, sent_at, text) VALUES (?, ?, ?)",
                (session.session_id, now, text),
            )
            stays_suspended = life.halted_at is not None and suspends_for_quota(store, session.org_id, _faults(store))
            halted_at = life.halted_at if stays_suspended else None
            woken_at = now if session.shows.status == "suspended" and not stays_suspended else life.woken_at
            # The course goes on where quota stopped it, so its beginning moves by the time of the suspension.
            lost = now - life.halted_at if life.halted_at is not None and not stays_suspended else 0.0
            store.execute(
                "UPDATE sessions SET asleep_since = NULL, halted_at = ?, started_at = ?, woken_at = ?,"
                " last_message_at = ? WHERE session_id = ?",
                (halted_at, life.began + lost, woken_at, now, session.session_id),
            )
            return self._read(store, session)

    def conversation(self, session: SimulatedSession) -> list[tuple[float, str, str]]:
        """Return a session's messages as (time, source, text), oldest first."""
        sent = self._store.rows(
            "SELECT sent_at, text FROM user_messages WHERE session_id = ? ORDER BY number",
            (session.session_id,),
        )
        from_user = [(row["sent_at"], "user", row["text"]) for row in sent]
        return sorted([*((at, "devin", text) for at, text in session.shows.messages), *from_user], key=lambda m: m[0])

    def set_tags(self, session: SimulatedSession, tags: Sequence[str]) -> None:
        """Replace a session's tags."""
        with self._store.writing() as store:
            replace_tags(store, session.session_id, tags)

    def add_tags(self, session: SimulatedSession, tags: Sequence[str], limit: int) -> list[str] | None:
        """Add tags to a session and return all its tags, each once; add nothing and return None if over the limit."""
        with self._store.writing() as store:
            # Read inside the transaction: two additions at the same moment must not lose one.
            unique = list(dict.fromkeys([*self._read(store, session).tags, *tags]))
            if len(unique) > limit:
                return None
            replace_tags(store, session.session_id, unique)
            return unique

    def _change(self, session: SimulatedSession, assignments: str, values: tuple[object, ...]) -> SimulatedSession:
        with self._store.writing() as store:
            store.execute(f"UPDATE sessions SET {assignments} WHERE session_id = ?", (*values, session.session_id))
        return self._known(session.org_id, session.session_id)

    def _known(self, org_id: str, session_id: str) -> SimulatedSession:
        """Return a session that was just found or changed, even if it has vanished since."""
        rows = self._store.rows(f"{SESSIONS} AND session_id = ?", (org_id, session_id))
        if not rows:
            raise LookupError(f"{session_id} has left the world; was its file replaced?")
        return self._session(rows[0])

    def _read(self, store: sqlite3.Connection, session: SimulatedSession) -> SimulatedSession:
        values = (session.org_id, session.session_id)
        return self._session(store.execute(f"{SESSIONS} AND session_id = ?", values).fetchone())

    def _session(self, row: sqlite3.Row) -> SimulatedSession:
        # The schedule is the stored one, never drawn again: faults set later change later sessions only.
        course = milestones(Schedule.model_validate_json(row["schedule"]), Task.model_validate_json(row["task"]))
        life = Life.model_validate(dict(row))
        return SimulatedSession(
            number=row["number"],
            session_id=row["session_id"],
            org_id=row["org_id"],
            title=row["title"],
            playbook_id=row["playbook_id"],
            tags=tuple(json.loads(row["tags"])),
            life=life,
            is_archived=bool(row["is_archived"]),
            shows=appearance(course, life, self._clock(), self.time_scale),
        )


_FAULTS = "SELECT faults FROM world"


def _faults(store: sqlite3.Connection) -> Faults:
    return Faults.read(store.execute(_FAULTS).fetchone()[0])
