"""The rows of sessions and their tags: the SQL that the world and the account's limits share.

What a row means at a moment is in `stages`; opening and locking the file is in `store`.
"""

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence

# One row a session of an organisation, with its tags as a JSON array; more conditions are appended.
SESSIONS = """
    SELECT *, (
        SELECT json_group_array(tag)
        FROM (SELECT tag FROM session_tags t WHERE t.session_id = s.session_id ORDER BY position)
    ) AS tags
    FROM sessions s
    WHERE org_id = ?"""

# A session that vanished stays in its table: only what asks by this condition misses it.
VISIBLE = " AND (gone_at IS NULL OR gone_at > ?)"
_AWAKE = " AND NOT (is_archived AND asleep_since IS NOT NULL)"


def insert_session(store: sqlite3.Connection, columns: Mapping[str, object], tags: Sequence[str]) -> None:
    """Add a session with its tags; `columns` has its row by column name."""
    places = ", ".join(f":{name}" for name in columns)
    store.execute(f"INSERT INTO sessions ({', '.join(columns)}) VALUES ({places})", columns)
    _insert_tags(store, str(columns["session_id"]), tags)


def replace_tags(store: sqlite3.Connection, session_id: str, tags: Sequence[str]) -> None:
    """Replace a session's tags; a repeated tag counts once, at its first position."""
    store.execute("DELETE FROM session_tags WHERE session_id = ?", (session_id,))
    _insert_tags(store, session_id, tags)


def _insert_tags(store: sqlite3.Connection, session_id: str, tags: Sequence[str]) -> None:
    store.executemany(
        "INSERT INTO session_tags (session_id, tag, position) VALUES (?, ?, ?)",
        [(session_id, tag, position) for position, tag in enumerate(dict.fromkeys(tags))],
    )


def session_with_prompt(store: sqlite3.Connection, org_id: str, prompt: str) -> str | None:
    """Return the id of the oldest session with exactly this prompt, whatever became of the session."""
    row = store.execute(
        "SELECT session_id FROM sessions WHERE org_id = ? AND prompt_hash = ? ORDER BY number",
        (org_id, hash_of(prompt)),
    ).fetchone()
    return str(row["session_id"]) if row else None


def hash_of(prompt: str) -> str:
    """Return the hash that a row holds instead of the prompt: prompts are long, and only their equality matters."""
    return hashlib.sha256(prompt.encode("utf-8", "replace")).hexdigest()


def count_sessions(store: sqlite3.Connection, org_id: str) -> int:
    """Count all sessions that an organisation ever created."""
    return int(store.execute("SELECT count(*) FROM sessions WHERE org_id = ?", (org_id,)).fetchone()[0])


def count_occupied_slots(store: sqlite3.Connection, org_id: str, now: float) -> int:
    """Count the sessions that occupy a slot: those neither terminated, archived nor vanished."""
    occupied = f"SELECT count(*) FROM sessions WHERE org_id = ? AND ended_at IS NULL{_AWAKE}{VISIBLE}"
    return int(store.execute(occupied, (org_id, now)).fetchone()[0])
