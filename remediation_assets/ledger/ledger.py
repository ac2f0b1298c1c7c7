"""The ledger: the pipeline's own DuckDB file, opened for milliseconds at a time.

`transaction()` is the only door to it. Nothing else in this software may open the file: closing any
other descriptor of it drops DuckDB's own lock, and another process's commit would then be lost.
"""

import logging
import os
import random
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import duckdb
from duckdb import DuckDBPyConnection

from remediation_assets.locks import LockHeld, LockUnusable, held

from . import publish, schema
from .errors import LedgerBusy, LedgerMismatch, LedgerTooNew, LedgerUnusable, NothingPublished, TransactionLost
from .transaction import Journal, Reader, Transaction

logger = logging.getLogger(__name__)

MEMORY_LIMIT = "2GB"
"""What DuckDB may hold in memory of a ledger; more goes to the disk. Its own default takes most of the machine."""


@dataclass(frozen=True)
class Stamp:
    """Where a ledger's results come from: mode, API and organisation; results from elsewhere are refused."""

    mode: str
    api_origin: str
    org_id: str

    def admits(self, other: "Stamp") -> bool:
        """Whether results with the other stamp may go into this ledger; an organisation that is not set fits any."""
        return (self.mode, self.api_origin) == (other.mode, other.api_origin) and (
            not self.org_id or not other.org_id or self.org_id == other.org_id
        )


class Export(Protocol):
    """A file that is written whenever results are published; the ledger does not know the file's format."""

    @property
    def name(self) -> str:
        """Return the file's name in warnings, with the setting that has its path."""
        ...

    def is_stale(self, ledger: Path) -> bool:
        """Whether the ledger has changed since the file was written."""
        ...

    def render(self, reader: Reader) -> bytes:
        """Return the file's content."""
        ...

    def write(self, ledger: Path, content: bytes) -> None:
        """Replace the file; raise OSError if that fails."""
        ...


class Ledger:
    """The ledger in a data directory; it is created on first use."""

    def __init__(
        self,
        data_dir: Path,
        stamp: Stamp,
        *,
        lock_timeout: float = 60.0,
        publish_interval: float = 5.0,
        export: Export | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.path = data_dir / "ledger.duckdb"
        self.published_path = data_dir / "remediation.duckdb"
        self._stamp = stamp
        self._lock_timeout = lock_timeout
        self._publish_interval = publish_interval
        self._export = export
        self._publish_seconds = 0.0
        self._id = ""
        self._organisation = ""

    @property
    def ledger_id(self) -> str:
        """Return the ledger's own id, which is part of every tag and prompt."""
        if not self._id:
            self.verify()
        return self._id

    def verify(self) -> None:
        """Open the ledger once, creating it if it is missing; raise LedgerMismatch if its stamp does not fit."""
        with self.transaction():
            pass

    @contextmanager
    def transaction(
        self, journal: Journal | None = None, *, attach: Mapping[str, Path] | None = None
    ) -> Iterator[Transaction]:
        """Run one transaction: lock, open, commit (or roll back on any error), close, unlock.

        The transaction takes its time from the `journal` and adds its events to the journal once it has committed.
        Inside, the DuckDB files in `attach` can be read under the given names. Raise LedgerBusy after the lock
        timeout, and TransactionLost if the error of a failed statement was swallowed inside, because DuckDB then
        silently commits nothing.
        """
        journal = journal or Journal()
        with self._locked(), _disk_errors_explained(self.path):
            connection = self._open()
            try:
                connection.execute(f"SET TimeZone = 'UTC'; SET memory_limit = '{MEMORY_LIMIT}'")
                self._check_stamp(connection)
                for name, path in (attach or {}).items():
                    quoted = str(path).replace("'", "''")
                    connection.execute(f"ATTACH '{quoted}' AS {name} (READ_ONLY)")
                # The clock is read below, with the lock held, so that times follow the order of the transactions.
                connection.execute("BEGIN TRANSACTION")
                transaction = Transaction(connection, journal.clock())
                try:
                    yield transaction
                except BaseException:
                    # An aborted transaction is rolled back already; the first error is the one to tell.
                    with suppress(duckdb.Error):
                        connection.execute("ROLLBACK")
                    raise
                # Raises if a failed statement has ended the transaction; nothing may reach the journal then.
                _commit(connection)
                journal.events += transaction.recorded
            finally:
                connection.close()

    def belong_to(self, org_id: str) -> None:
        """Stamp the ledger with the organisation that the API names; raise LedgerMismatch if it has another.

        The sessions of one organisation cannot be seen from another, so working on would start
        each of them a second time.
        """
        # Asked with every step, and once is enough: a stamped organisation never changes.
        if self._organisation == org_id:
            return
        with self.transaction() as tx:
            stamped = tx.scalar("SELECT org_id FROM stamp")
            if stamped and stamped != org_id:
                raise LedgerMismatch(
                    f"{self.path} holds results of the organisation {stamped}, and the key belongs to {org_id}; "
                    "set REMEDIATION_DATA_DIR to another folder, or the key back."
                )
            if not stamped:
                tx.execute("UPDATE stamp SET org_id = ?", [org_id])
        self._organisation = org_id

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Create a folder for staging databases in the data directory, and delete it afterwards."""
        self._make_folder()
        try:
            folder = tempfile.TemporaryDirectory(prefix="staging-", dir=self.data_dir)
        except OSError as error:
            raise _unusable(self.data_dir, error) from None
        with folder as name:
            yield Path(name)

    def publish(self, *, force: bool = False) -> bool:
        """Replace the published results if they are stale; return whether they were replaced.

        Without `force` this happens at most every publish interval, or every 20 times the last
        publication's duration if that is longer.
        """
        # The whole file is copied under the lock: a twentieth of the time at most, however large it grows.
        least = max(self._publish_interval, 20 * self._publish_seconds)
        try:
            if not force and publish.age_seconds(self.published_path) < least:
                return False
            if not publish.is_stale(self.path, self.published_path) and not self._export_is_stale():
                return False
            with self._locked():
                started = time.monotonic()
                self._fold_write_ahead_log()
                replaced = publish.publish(self.path, self.published_path)
                if replaced and self._export:
                    self._write_export(self._export)
                self._publish_seconds = time.monotonic() - started
        except OSError as error:
            raise _unusable(self.data_dir, error) from None
        return replaced

    @contextmanager
    def published(self, *, or_empty: bool = False) -> Iterator[Reader]:
        """Open the published results for reading, on a new connection.

        If nothing has been published yet, raise NothingPublished, or with `or_empty` read an empty ledger.
        """
        if self.published_path.exists():
            connection = duckdb.connect(str(self.published_path), read_only=True)
        elif or_empty:
            connection = duckdb.connect()
            self._fill(connection)
        else:
            raise NothingPublished(f"{self.published_path} does not exist yet; run `remediate run FILE` first.")
        try:
            connection.execute("SET TimeZone = 'UTC'")
            yield Reader(connection)
        finally:
            connection.close()

    def delete(self) -> None:
        """Delete the ledger and its published results; the caller has made sure that nobody needs them."""
        with self._locked():
            for path in (self.path, self.published_path):
                path.unlink(missing_ok=True)
                # A log that is left would be replayed into the next file of this name.
                Path(f"{path}.wal").unlink(missing_ok=True)
        self._id = self._organisation = ""

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._make_folder()
        with ExitStack() as stack:
            try:
                # Two locks in a row make waiting fair: only the first in the queue waits for the ledger itself. With
                # one lock, whoever polls it most often gets it, and others starve.
                with held(self.data_dir / "queue.lock", timeout=self._lock_timeout):
                    stack.enter_context(held(self.data_dir / "ledger.lock", timeout=self._lock_timeout))
            except LockHeld as error:
                raise LedgerBusy(str(error)) from None
            except LockUnusable as error:
                raise LedgerUnusable(str(error)) from error
            yield

    def _make_folder(self) -> None:
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(self.data_dir, error) from None

    def _open(self) -> DuckDBPyConnection:
        if not self.path.exists():
            self._build(self._fill)
        connection = self._connect()
        version = schema.version_of(connection)
        if version == schema.SCHEMA_VERSION:
            return connection
        connection.close()
        if version is None:
            raise LedgerUnusable(f"{self.path} is no ledger; restore it from a backup or move it away.")
        if version > schema.SCHEMA_VERSION:
            raise LedgerTooNew(f"{self.path} was written by a later version; upgrade this software.")
        # Never in place: an interrupted migration has to leave the old ledger as it was.
        self._build(lambda building: schema.create_from(building, self.path, version))
        return self._connect()

    def _connect(self) -> DuckDBPyConnection:
        deadline = time.monotonic() + self._lock_timeout
        wait, warned = 0.05, False
        while True:
            try:
                return duckdb.connect(str(self.path))
            except duckdb.IOException as error:
                # Our own processes hold the lock files, so whoever conflicts is a foreign shell.
                if "Could not set lock" not in str(error):
                    raise LedgerUnusable(f"{self.path} cannot be opened: {_first_line(error)}") from None
                if not warned:
                    warned = True
                    logger.warning("Waiting for another program to close %s: %s", self.path, _first_line(error))
                if time.monotonic() > deadline:
                    raise LedgerBusy(
                        f"{self.path} is open in another program ({_first_line(error)}); close it. "
                        f"To look at results, open {self.published_path.name} with `duckdb -readonly`."
                    ) from None
                time.sleep(random.uniform(wait / 2, wait))  # noqa: S311  # no secret, only apart from others
                wait = min(wait * 2, 1.0)

    def _fold_write_ahead_log(self) -> None:
        # Left by a killed process; opening and closing writes it into the file.
        if Path(f"{self.path}.wal").exists():
            with suppress(duckdb.IOException):  # a foreign program is writing: stay stale
                duckdb.connect(str(self.path)).close()

    def _export_is_stale(self) -> bool:
        return self._export is not None and self._export.is_stale(self.path)

    def _write_export(self, export: Export) -> None:
        """Write the export from the ledger; if that fails, log a warning, because publishing must not fail."""
        try:
            connection = self._open()
            try:
                connection.execute("SET TimeZone = 'UTC'")
                content = export.render(Reader(connection))
            finally:
                connection.close()
            export.write(self.path, content)
        except OSError as error:
            logger.warning("%s cannot be written (%s); name another path.", export.name, error.strerror)
        except Exception:  # whatever is in the ledger must not keep people from the published results
            logger.warning("%s could not be written this time.", export.name, exc_info=True)

    def _build(self, fill: Callable[[DuckDBPyConnection], None]) -> None:
        """Build a ledger under another name, then rename it into place.

        If a process is killed while DuckDB creates a file, DuckDB may never open that file again. And an
        interrupted migration must leave the old ledger as it was.
        """
        building = self.data_dir / "ledger.building.duckdb"
        try:
            # Of a process that was killed; DuckDB might refuse it, or replay its log into the new file.
            for leftover in (building, Path(f"{building}.wal")):
                leftover.unlink(missing_ok=True)
            connection = duckdb.connect(str(building))
            try:
                fill(connection)
            finally:
                connection.close()
            _sync(building)
            building.rename(self.path)
            # Else a crash of the machine could bring back the folder without the ledger: forgetting what was sent.
            _sync(self.data_dir)
        except OSError as error:
            raise _unusable(self.data_dir, error) from error

    def _fill(self, connection: DuckDBPyConnection) -> None:
        schema.create(connection)
        stamp = {
            "ledger_id": uuid.uuid4().hex[:12],
            "schema_version": schema.SCHEMA_VERSION,
            "mode": self._stamp.mode,
            "api_origin": self._stamp.api_origin,
            "org_id": "",  # the API names it; a setting may be mistyped
            "created_at": datetime.now(UTC),
        }
        connection.execute(
            f"INSERT INTO stamp ({', '.join(stamp)}) VALUES ({', '.join('?' for _ in stamp)})", list(stamp.values())
        )

    def _check_stamp(self, connection: DuckDBPyConnection) -> None:
        [row] = connection.execute("SELECT ledger_id, mode, api_origin, org_id FROM stamp").fetchall()
        found = Stamp(*row[1:])
        if not found.admits(self._stamp):
            raise LedgerMismatch(
                f"{self.path} holds {found.mode} results of {found.api_origin} {found.org_id}".rstrip()
                + f", not {self._stamp.mode} results of {self._stamp.api_origin} {self._stamp.org_id}".rstrip()
                + "; set REMEDIATION_DATA_DIR to another folder, or the settings back."
            )
        self._id = row[0]


def _unusable(folder: Path, error: OSError) -> LedgerUnusable:
    return LedgerUnusable(
        f"{folder} cannot be used for the ledger ({error.strerror}); make it writable, or set REMEDIATION_DATA_DIR."
    )


@contextmanager
def _disk_errors_explained(path: Path) -> Iterator[None]:
    """Raise LedgerUnusable, with a sentence, for a full disk or a folder that was made read-only."""
    try:
        yield
    except duckdb.IOException as error:
        raise LedgerUnusable(
            f"{path} cannot be read or written ({_first_line(error)}); nothing of this change was kept. Free space on "
            "the disk or make the folder writable, then run it again."
        ) from error


def _commit(connection: DuckDBPyConnection) -> None:
    try:
        # COMMIT of an aborted transaction returns normally and writes nothing. Any statement fails in one, so this
        # asks.
        connection.execute("SELECT 1")
    except duckdb.Error as error:
        connection.execute("ROLLBACK")
        raise TransactionLost(f"nothing was written: {_first_line(error)}") from error
    try:
        connection.execute("COMMIT")
    except duckdb.TransactionException as error:
        # A full disk can show as late as here, and as an error of the transaction; raised again as what it is.
        if "Could not write" not in str(error):
            raise
        raise duckdb.IOException(str(error)) from error


def _sync(path: Path) -> None:
    """Have the kernel write a file, or a folder's list of its files, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
