"""Findings files into the ledger: each is a scan; what was read before and still stands is not read again."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from duckdb import DuckDBPyConnection

from remediation_assets.ledger.ledger import Ledger

from .errors import FindingsFileError
from .files import findings_files
from .ingesting import Ingested, attached, current_scan, ingest
from .reading import Rules, StagedScan, hash_of, stage


@dataclass(frozen=True)
class Scanned:
    """Files that were read together: the scans that are new, those that stand from before, and what changed."""

    read: tuple[StagedScan, ...]
    standing: tuple[int, ...]
    changes: Ingested
    scan_ids: tuple[int, ...]


def scan_files(
    ledger: Ledger, given: Sequence[Path], rules: Rules, *, max_rejected_share: float, now: datetime
) -> Scanned:
    """Read files and folders into the ledger together; raises FindingsFileError, writing nothing, for one that is none.

    The ledger is held only while what was parsed is brought in.
    """
    try:
        files = findings_files(given)
        contents = {file: hash_of(file) for file in files if file.is_file()}
    except OSError as error:
        raise FindingsFileError(
            f"{error.filename} cannot be read ({error.strerror}); give a file you may read."
        ) from None
    with ledger.transaction() as tx:
        known = {file: current_scan(tx, str(file), content, rules.fingerprint) for file, content in contents.items()}
    standing = tuple(scan_id for scan_id in known.values() if scan_id is not None)
    to_read = [file for file in files if known.get(file) is None]
    with ExitStack() as stack:
        scans = []
        if to_read:
            folder = stack.enter_context(ledger.staging())
            for number, file in enumerate(to_read):
                own = folder / str(number)
                own.mkdir()
                scans.append(stage(file, own / "staging.duckdb", rules))
        with ledger.transaction(attach=attached(scans)) as tx:
            changes = ingest(tx, scans, standing=standing, max_rejected_share=max_rejected_share, now=now)
            tx.execute("UPDATE state SET current_source = ?", ["\n".join(map(str, given))])
    return Scanned(tuple(scans), standing, changes, (*standing, *changes.scan_ids))


def current_source(tx: DuckDBPyConnection) -> list[Path]:
    """Give the files and folders that were read last."""
    [(source,)] = tx.execute("SELECT current_source FROM state").fetchall()
    return [Path(line) for line in (source or "").split("\n") if line]
