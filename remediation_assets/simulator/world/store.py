"""The world's file: a SQLite database that several processes use at once.

Opening, creating and locking it belong here; what its rows mean does not.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from remediation_assets.errors import RemediationError

_BUSY_SECONDS = 30.0  # a transaction takes milliseconds, but a dozen processes may start at once
_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS world (
        seed INTEGER NOT NULL,
        time_scale REAL NOT NULL
    )""",
    """
    CREATE TABLE IF NOT EXISTS sessions (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        session_id TEXT NOT NULL UNIQUE,
        org_id TEXT NOT NULL,
        title TEXT,
        playbook_id TEXT,
        schedule TEXT NOT NULL,
        task TEXT NOT NULL,
        created_at REAL NOT NULL,
        ended_at REAL,
        asleep_since REAL,
        woken_at REAL,
        last_message_at REAL,
        is_archived INTEGER NOT NULL DEFAULT 0
    )""",
    """
    CREATE TABLE IF NOT EXISTS session_tags (
        session_id TEXT NOT NULL,
        tag TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (session_id, tag)
    )""",
    "CREATE INDEX IF NOT EXISTS sessions_of_tag ON session_tags (tag, session_id)",
    """
    CREATE TABLE IF NOT EXISTS posts (
        subject TEXT PRIMARY KEY,
        sent INTEGER NOT NULL
    )""",
    """
    CREATE TABLE IF NOT EXISTS user_messages (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        session_id TEXT NOT NULL,
        sent_at REAL NOT NULL,
        text TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS messages_of_session ON user_messages (session_id)",
    """
    CREATE TABLE IF NOT EXISTS playbooks (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        playbook_id TEXT NOT NULL UNIQUE,
        org_id TEXT NOT NULL,
        title TEXT NOT NULL,
        body TEXT NOT NULL,
        macro TEXT,
        created_at REAL NOT NULL,
        updated_at REAL NOT NULL
    )""",
)
# Columns that worlds of earlier versions lack. Like those above they keep their names, even where the code
# has a better word: the version that created a world must be able to open it again.
_ADDED = (
    ("world", "faults", "TEXT NOT NULL DEFAULT ''"),
    ("world", "made_at", "REAL NOT NULL DEFAULT 0"),
    ("sessions", "prompt_hash", "TEXT"),
    ("sessions", "started_at", "REAL"),
    ("sessions", "halted_at", "REAL"),
    ("sessions", "gone_at", "REAL"),
)


class WorldUnusable(RemediationError):
    """The world's file cannot be read or written."""


class Store:
    """One process's connection to the file; its threads take turns."""

    def __init__(self, path: Path) -> None:
        """Open the file at `path`, and create it with its tables if there is none."""
        self._turn = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _open(path)
        except (sqlite3.Error, OSError) as error:
            raise WorldUnusable(
                f"The simulator's world {path} cannot be used ({error}); "
                "use a data directory that you may write to, or run `remediate reset` to begin another world."
            ) from error

    def close(self) -> None:
        """Close the file; SQLite removes its journal after the last process."""
        with self._turn:
            self._connection.close()

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query."""
        with self._turn:
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Write in one transaction, the only writer of all processes; an error undoes it."""
        with self._turn, _transaction(self._connection):
            yield self._connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    # IMMEDIATE takes the lock for writing at once and waits for it. A plain BEGIN reads first, and fails
    # without waiting if another process has written before its own first write.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _open(path: Path) -> sqlite3.Connection:
    give_up_at = time.monotonic() + _BUSY_SECONDS
    while True:
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection)
            return connection
        except sqlite3.OperationalError as error:
            connection.close()
            # Changing to WAL does not wait for its lock: of several processes that start together, some fail.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            time.sleep(0.02)
        except BaseException:
            connection.close()
            raise


def _prepare(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    # Safe when a process dies; a power cut may cost the last transactions, never the file.
    connection.execute("PRAGMA synchronous = NORMAL")
    with _transaction(connection):
        for statement in _TABLES:
            connection.execute(statement)
        for table, column, form in _ADDED:
            if column not in {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}:
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {form}")
        connection.execute("CREATE INDEX IF NOT EXISTS sessions_of_prompt ON sessions (prompt_hash)")
