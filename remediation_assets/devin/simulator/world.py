"""The simulated Devin itself: the sessions that all processes of a data directory share.

What the outside can do to it, in the world's own terms; the HTTP wire is made of this elsewhere.
"""

import json
import logging
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from .playbooks import Playbooks
from .schedule import Schedule, Task, schedule_for, subject_of, task_of
from .stages import Appearance, Life, appearance, milestones
from .store import Store

logger = logging.getLogger(__name__)

_told: set[Path] = set()  # worlds whose other settings this process has been told of


class SimulatedSession(BaseModel):
    """A session of the world, as it is at the moment of asking."""

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


class World:
    """A durable world in the file at `path`; the seed and time scale it was made with are the world's."""

    def __init__(self, path: Path, seed: int, time_scale: float, clock: Callable[[], float] = time.time) -> None:
        """Enter the world, or make it with this seed and time scale where there is none."""
        self._store = Store(path)
        self._clock = clock
        self.playbooks = Playbooks(self._store, clock)
        with self._store.writing() as store:
            store.execute("INSERT INTO world SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM world)", (seed, time_scale))
            made = store.execute("SELECT seed, time_scale FROM world").fetchone()
        self.seed: int = made["seed"]
        self.time_scale: float = made["time_scale"]
        if (self.seed, self.time_scale) != (seed, time_scale) and path not in _told:
            _told.add(path)
            logger.warning(
                "The simulator's world %s was made with MOCK_SEED=%s and MOCK_TIME_SCALE=%g and keeps them; "
                "reset to begin another.",
                path,
                self.seed,
                self.time_scale,
            )

    def close(self) -> None:
        """Leave the world; it stays."""
        self._store.close()

    def create_session(
        self,
        org_id: str,
        prompt: str,
        *,
        title: str | None = None,
        tags: Sequence[str] = (),
        playbook_id: str | None = None,
        repos: Sequence[str] = (),
    ) -> SimulatedSession:
        """Start a session; everything that will happen to it by itself is decided now."""
        session_id = f"devin-{uuid.uuid4().hex}"
        schedule = schedule_for(self.seed, subject_of(tags, prompt))
        with self._store.writing() as store:
            store.execute(
                "INSERT INTO sessions (session_id, org_id, title, playbook_id, schedule, task, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    session_id,
                    org_id,
                    title,
                    playbook_id,
                    schedule.model_dump_json(),
                    task_of(prompt, repos).model_dump_json(),
                    self._clock(),
                ),
            )
            _write_tags(store, session_id, tags)
        return self._known(org_id, session_id)

    def session(self, org_id: str, session_id: str) -> SimulatedSession | None:
        """Look at one session, or None where there is none."""
        rows = self._store.rows(f"{_SESSIONS} AND session_id = ?", (org_id, session_id))
        return self._session(rows[0]) if rows else None

    def sessions(self, org_id: str, tags: Sequence[str], first: int, before: int | None) -> list[SimulatedSession]:
        """List up to `first` sessions that carry all the tags, newest first, older than number `before`."""
        tagged = " AND session_id IN (SELECT session_id FROM session_tags WHERE tag = ?)" * len(tags)
        older = " AND number < ?" if before is not None else ""
        cursor = () if before is None else (before,)
        sql = f"{_SESSIONS}{tagged}{older} ORDER BY number DESC LIMIT ?"
        return [self._session(row) for row in self._store.rows(sql, (org_id, *tags, *cursor, first))]

    def end_session(self, session: SimulatedSession, *, archive: bool) -> SimulatedSession:
        """Terminate a session for ever."""
        return self._change(
            session,
            "ended_at = coalesce(ended_at, ?), is_archived = is_archived OR ?",
            (self._clock(), archive),
        )

    def archive_session(self, session: SimulatedSession) -> SimulatedSession:
        """Archive a session and put it to sleep, if it is not already."""
        return self._change(session, "asleep_since = coalesce(asleep_since, ?), is_archived = TRUE", (self._clock(),))

    def send_message(self, session: SimulatedSession, text: str) -> SimulatedSession:
        """Record a user's message, and wake the session where it sleeps."""
        now = self._clock()
        with self._store.writing() as store:
            store.execute(
                "INSERT INTO user_messages (session_id, sent_at, text) VALUES (?, ?, ?)",
                (session.session_id, now, text),
            )
        woken_at = now if session.shows.status == "suspended" else session.life.woken_at
        return self._change(session, "asleep_since = NULL, woken_at = ?, last_message_at = ?", (woken_at, now))

    def conversation(self, session: SimulatedSession) -> list[tuple[float, str, str]]:
        """List a session's messages as (time, source, text), oldest first."""
        sent = self._store.rows(
            "SELECT sent_at, text FROM user_messages WHERE session_id = ? ORDER BY number",
            (session.session_id,),
        )
        theirs = [(row["sent_at"], "user", row["text"]) for row in sent]
        return sorted([*((at, "devin", text) for at, text in session.shows.messages), *theirs], key=lambda m: m[0])

    def set_tags(self, session: SimulatedSession, tags: Sequence[str]) -> None:
        """Replace a session's tags."""
        with self._store.writing() as store:
            store.execute("DELETE FROM session_tags WHERE session_id = ?", (session.session_id,))
            _write_tags(store, session.session_id, tags)

    def _change(self, session: SimulatedSession, assignments: str, values: tuple[object, ...]) -> SimulatedSession:
        with self._store.writing() as store:
            store.execute(f"UPDATE sessions SET {assignments} WHERE session_id = ?", (*values, session.session_id))
        return self._known(session.org_id, session.session_id)

    def _known(self, org_id: str, session_id: str) -> SimulatedSession:
        session = self.session(org_id, session_id)
        if session is None:
            raise LookupError(f"{session_id} has left the world; was its file replaced?")
        return session

    def _session(self, row: sqlite3.Row) -> SimulatedSession:
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


_SESSIONS = """
    SELECT *, (
        SELECT json_group_array(tag)
        FROM (SELECT tag FROM session_tags t WHERE t.session_id = s.session_id ORDER BY position)
    ) AS tags
    FROM sessions s
    WHERE org_id = ?"""


def _write_tags(store: sqlite3.Connection, session_id: str, tags: Sequence[str]) -> None:
    store.executemany(
        "INSERT INTO session_tags (session_id, tag, position) VALUES (?, ?, ?)",
        [(session_id, tag, position) for position, tag in enumerate(dict.fromkeys(tags))],
    )
