"""The simulated Devin itself: the sessions that all processes of a data directory share.

What the outside can do to it, in the world's own terms; the HTTP wire is made of this elsewhere.
"""

import hashlib
import json
import logging
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from .faults import Fault, Faults
from .playbooks import Playbooks
from .schedule import Schedule, Task, schedule_for, subject_of, task_of
from .stages import Appearance, Life, appearance, goes_at, milestones
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
    is_new: bool = True

    @property
    def url(self) -> str:
        """Give the address of its page."""
        return f"https://app.devin.ai/sessions/{self.session_id.removeprefix('devin-')}"


class AccountRefuses(Exception):
    """The account may not have another session now; `status` is the HTTP status that says so."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


class World:
    """A durable world in the file at `path`; seed, time scale and faults it was made with are the world's."""

    def __init__(
        self,
        path: Path,
        seed: int,
        time_scale: float,
        clock: Callable[[], float] = time.time,
        faults: Faults | None = None,
    ) -> None:
        """Enter the world, or make it with this seed, time scale and faults where there is none."""
        self._store = Store(path)
        self._clock = clock
        self.playbooks = Playbooks(self._store, clock)
        asked = (seed, time_scale, str(faults or Faults()))
        with self._store.writing() as store:
            store.execute(
                "INSERT INTO world (seed, time_scale, faults, made_at)"
                " SELECT ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM world)",
                (*asked, clock()),
            )
            made = store.execute("SELECT seed, time_scale, faults, made_at FROM world").fetchone()
        self.seed: int = made["seed"]
        self.time_scale: float = made["time_scale"]
        self._made_at: float = made["made_at"]
        if asked != (self.seed, self.time_scale, made["faults"]) and path not in _told:
            _told.add(path)
            logger.warning(
                "The simulator's world %s was made with MOCK_SEED=%s, MOCK_TIME_SCALE=%g and MOCK_FAULTS=%s and keeps "
                "them; reset to begin another.",
                path,
                self.seed,
                self.time_scale,
                made["faults"],
            )

    @property
    def age(self) -> float:
        """Give the seconds since the world was made."""
        return self._clock() - self._made_at

    @property
    def faults(self) -> Faults:
        """Give what goes wrong now; every process sees a change at once."""
        return Faults.read(self._store.rows(_WORLDS_FAULTS)[0][0])

    def set_faults(self, faults: Faults) -> None:
        """Let other things go wrong from now on."""
        with self._store.writing() as store:
            store.execute("UPDATE world SET faults = ?", (str(faults),))

    def close(self) -> None:
        """Leave the world; it stays."""
        self._store.close()

    def fault_of_post(self, subject: str) -> Fault | None:
        """Count a request to create a session, and draw what goes wrong with it."""
        faults = self.faults
        if not faults.meet_posts:
            return None
        with self._store.writing() as store:
            sent = store.execute(
                "INSERT INTO posts VALUES (?, 1) ON CONFLICT (subject) DO UPDATE SET sent = sent + 1 RETURNING sent",
                (subject,),
            ).fetchone()["sent"]
        return faults.of_post(self.seed, subject, sent)

    def create_session(
        self,
        org_id: str,
        prompt: str,
        *,
        title: str | None = None,
        tags: Sequence[str] = (),
        playbook_id: str | None = None,
        repos: Sequence[str] = (),
        idempotent: bool = False,
    ) -> SimulatedSession:
        """Start a session; everything that will happen to it by itself is decided now.

        Where it is `idempotent`, a session that had this very prompt is given instead, whatever became
        of it. Raises AccountRefuses where the account's limits say no.
        """
        with self._store.writing() as store:
            now = self._clock()
            older = _with_prompt(store, org_id, prompt) if idempotent else None
            if older is None:
                session_id = self._insert(store, org_id, prompt, title, tags, playbook_id, repos, now)
        if older is not None:
            return self._known(org_id, older).model_copy(update={"is_new": False})
        return self._known(org_id, session_id)

    def _insert(
        self,
        store: sqlite3.Connection,
        org_id: str,
        prompt: str,
        title: str | None,
        tags: Sequence[str],
        playbook_id: str | None,
        repos: Sequence[str],
        now: float,
    ) -> str:
        faults = Faults.read(store.execute(_WORLDS_FAULTS).fetchone()[0])
        _refuse_beyond_limits(store, org_id, faults, now)
        halted = _out_of_quota(store, org_id, faults, coming=1)
        if halted:
            self._halt_all(store, org_id, now)
        session_id = f"devin-{uuid.uuid4().hex}"
        schedule = schedule_for(self.seed, subject_of(tags, prompt), faults)
        leaves = goes_at(schedule)
        row = {
            "session_id": session_id,
            "org_id": org_id,
            "title": title,
            "playbook_id": playbook_id,
            "schedule": schedule.model_dump_json(),
            "task": task_of(prompt, repos).model_dump_json(),
            "prompt_hash": _hash(prompt),
            "created_at": now,
            "halted_at": now if halted else None,
            "gone_at": None if leaves is None else now + leaves / self.time_scale,
        }
        places = ", ".join(f":{name}" for name in row)
        store.execute(f"INSERT INTO sessions ({', '.join(row)}) VALUES ({places})", row)
        _write_tags(store, session_id, tags)
        return session_id

    def _halt_all(self, store: sqlite3.Connection, org_id: str, now: float) -> None:
        """Suspend every session that is at work."""
        at_work = f"{_SESSIONS} AND ended_at IS NULL AND asleep_since IS NULL AND halted_at IS NULL"
        for row in store.execute(at_work, (org_id,)).fetchall():
            session = self._session(row)
            if session.shows.is_at_work:
                store.execute("UPDATE sessions SET halted_at = ? WHERE session_id = ?", (now, session.session_id))

    def session(self, org_id: str, session_id: str) -> SimulatedSession | None:
        """Look at one session, or None where there is none."""
        rows = self._store.rows(f"{_SESSIONS}{_FOUND} AND session_id = ?", (org_id, self._clock(), session_id))
        return self._session(rows[0]) if rows else None

    def sessions(
        self, org_id: str, tags: Sequence[str], first: int, before: int | None, skip: int = 0
    ) -> list[SimulatedSession]:
        """List up to `first` sessions that carry all the tags, newest first, older than number `before`."""
        now, lag = self._clock(), self.faults.get("list_lag")
        tagged = " AND session_id IN (SELECT session_id FROM session_tags WHERE tag = ?)" * len(tags)
        older = " AND number < ?" if before is not None else ""
        cursor = () if before is None else (before,)
        sql = f"{_SESSIONS}{_FOUND} AND created_at <= ?{tagged}{older} ORDER BY number DESC LIMIT ? OFFSET ?"
        values = (org_id, now, now - lag.amount if lag else now, *tags, *cursor, first, skip)
        return [self._session(row) for row in self._store.rows(sql, values)]

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
        """Record a user's message, and wake the session where it sleeps; without quota it goes on sleeping."""
        with self._store.writing() as store:
            now = self._clock()
            # As it is now: another process may have changed it since it was looked at.
            session = self._read(store, session)
            life = session.life
            store.execute(
                "INSERT INTO user_messages (session_id, sent_at, text) VALUES (?, ?, ?)",
                (session.session_id, now, text),
            )
            stays = life.halted_at is not None and _out_of_quota(
                store, session.org_id, Faults.read(store.execute(_WORLDS_FAULTS).fetchone()[0])
            )
            halted_at = life.halted_at if stays else None
            woken_at = now if session.shows.status == "suspended" and not stays else life.woken_at
            started_at = life.began + (now - life.halted_at if life.halted_at is not None and not stays else 0.0)
            store.execute(
                "UPDATE sessions SET asleep_since = NULL, halted_at = ?, started_at = ?, woken_at = ?,"
                " last_message_at = ? WHERE session_id = ?",
                (halted_at, started_at, woken_at, now, session.session_id),
            )
            return self._read(store, session)

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
            _replace_tags(store, session.session_id, tags)

    def add_tags(self, session: SimulatedSession, tags: Sequence[str], limit: int) -> list[str] | None:
        """Add tags to a session's, each once; give them all, or None, adding nothing, where they are too many."""
        with self._store.writing() as store:
            unique = list(dict.fromkeys([*self._read(store, session).tags, *tags]))
            if len(unique) > limit:
                return None
            _replace_tags(store, session.session_id, unique)
            return unique

    def _change(self, session: SimulatedSession, assignments: str, values: tuple[object, ...]) -> SimulatedSession:
        with self._store.writing() as store:
            store.execute(f"UPDATE sessions SET {assignments} WHERE session_id = ?", (*values, session.session_id))
        return self._known(session.org_id, session.session_id)

    def _known(self, org_id: str, session_id: str) -> SimulatedSession:
        """Give a session that was just found or changed, also where it has vanished meanwhile."""
        rows = self._store.rows(f"{_SESSIONS} AND session_id = ?", (org_id, session_id))
        if not rows:
            raise LookupError(f"{session_id} has left the world; was its file replaced?")
        return self._session(rows[0])

    def _read(self, store: sqlite3.Connection, session: SimulatedSession) -> SimulatedSession:
        values = (session.org_id, session.session_id)
        return self._session(store.execute(f"{_SESSIONS} AND session_id = ?", values).fetchone())

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

_FOUND = " AND (gone_at IS NULL OR gone_at > ?)"
_AWAKE = " AND NOT (is_archived AND asleep_since IS NOT NULL)"
_WORLDS_FAULTS = "SELECT faults FROM world"


def _with_prompt(store: sqlite3.Connection, org_id: str, prompt: str) -> str | None:
    row = store.execute(
        "SELECT session_id FROM sessions WHERE org_id = ? AND prompt_hash = ? ORDER BY number", (org_id, _hash(prompt))
    ).fetchone()
    return str(row["session_id"]) if row else None


def _hash(prompt: str) -> str:
    return hashlib.sha256(prompt.encode("utf-8", "replace")).hexdigest()


def _refuse_beyond_limits(store: sqlite3.Connection, org_id: str, faults: Faults, now: float) -> None:
    cap, quota = faults.get("concurrency_cap"), faults.get("quota")
    occupied = f"SELECT count(*) FROM sessions WHERE org_id = ? AND ended_at IS NULL{_AWAKE}{_FOUND}"
    if cap and store.execute(occupied, (org_id, now)).fetchone()[0] >= cap.amount:
        raise AccountRefuses(429, f"You exceeded your concurrent session limit of {cap.amount:g}")
    if quota and _made(store, org_id) >= quota.amount:
        raise AccountRefuses(402, "Your organization is out of quota")


def _out_of_quota(store: sqlite3.Connection, org_id: str, faults: Faults, coming: int = 0) -> bool:
    quota = faults.get("quota_suspends")
    return quota is not None and _made(store, org_id) + coming > quota.amount


def _made(store: sqlite3.Connection, org_id: str) -> int:
    return int(store.execute("SELECT count(*) FROM sessions WHERE org_id = ?", (org_id,)).fetchone()[0])


def _replace_tags(store: sqlite3.Connection, session_id: str, tags: Sequence[str]) -> None:
    store.execute("DELETE FROM session_tags WHERE session_id = ?", (session_id,))
    _write_tags(store, session_id, tags)


def _write_tags(store: sqlite3.Connection, session_id: str, tags: Sequence[str]) -> None:
    store.executemany(
        "INSERT INTO session_tags (session_id, tag, position) VALUES (?, ?, ?)",
        [(session_id, tag, position) for position, tag in enumerate(dict.fromkeys(tags))],
    )
