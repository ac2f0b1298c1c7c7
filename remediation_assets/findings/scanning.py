"""Findings files into the ledger: each is a scan; what was read before and still stands is not read again."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime

from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Transaction

from .errors import FindingsFileError
from .files import findings_files
from .ingesting import Ingested, attached, current_scan, ingest
from .judging import Rules
from .origin import Given
from .reading import StagedScan, hash_of, stage


@dataclass(frozen=True)
class Scanned:
    """Files that were read together: the scans that are new, those that stand from before, and what changed."""

    read: tuple[StagedScan, ...]
    standing: tuple[int, ...]
    changes: Ingested
    scan_ids: tuple[int, ...]


def scan_files(ledger: Ledger, given: Given, rules: Rules, *, max_rejected_share: float, now: datetime) -> Scanned:
    """Read files and folders into the ledger together; raises FindingsFileError, writing nothing, for one that is none.

    They are read by the rules, and by what is said of where they come from.

    The ledger is held only while what was parsed is brought in.
    """
    try:
        files = findings_files(given.paths)
        contents = {file: hash_of(file) for file in files if file.is_file()}
    except OSError as error:
        raise FindingsFileError(
            f"{error.filename} cannot be read ({error.strerror}); give a file you may read."
        ) from None
    rules = replace(rules, origin=given.origin())
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
            tx.execute("UPDATE state SET current_source = ?", [given.written()])
    return Scanned(tuple(scans), standing, changes, (*standing, *changes.scan_ids))


def read_last(tx: Transaction) -> Given | None:
    """Give what was read last; None where nothing was."""
    [(written,)] = tx.execute("SELECT current_source FROM state").fetchall()
    return Given.from_written(written) if written else None
