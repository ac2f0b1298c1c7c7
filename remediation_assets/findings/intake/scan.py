"""Scan findings files into the ledger: find the files, stage those that are new or changed, and ingest them together.

The steps themselves are in their own modules; the findings are merged and ranked afterwards, in `rank`.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.findings.source_context import ScanRequest
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Reader, Transaction

from .files import findings_files
from .ingest import IngestResult, ingest, staging_databases, unchanged_scan
from .stage import StagedScan, hash_of, stage
from .validate import Rules


@dataclass(frozen=True)
class ScanResult:
    """What became of files that were read together, and the ids of all their scans."""

    new_scans: tuple[StagedScan, ...]
    unchanged_scans: tuple[int, ...]
    """The earlier scans of files that have not changed since, and were not read again."""

    changes: IngestResult
    scan_ids: tuple[int, ...]


def scan_files(
    ledger: Ledger, request: ScanRequest, rules: Rules, *, max_rejected_share: float, now: datetime, run_id: str = ""
) -> ScanResult:
    """Read the requested files and folders into the ledger together, by the rules and the request's source context.

    What was read is kept under `run_id`, if there is one, for whoever started that run. Raise FindingsFileError,
    writing nothing, if one of the files is not a findings file.
    """
    try:
        files = findings_files(request.paths)
        contents = {file: hash_of(file) for file in files if file.is_file()}
    except OSError as error:
        raise FindingsFileError(
            f"{error.filename} cannot be read ({error.strerror}); give a file you may read."
        ) from None
    rules = replace(rules, source_context=request.source_context())
    with ledger.transaction() as tx:
        known = {file: unchanged_scan(tx, str(file), content, rules.fingerprint) for file, content in contents.items()}
    unchanged = tuple(scan_id for scan_id in known.values() if scan_id is not None)
    changed = [file for file in files if known.get(file) is None]
    with ExitStack() as stack:
        scans = []
        # Staging takes minutes for a large file, so it happens between the two transactions: the ledger is locked
        # only while staged rows are copied into it.
        if changed:
            folder = stack.enter_context(ledger.staging())
            for number, file in enumerate(changed):
                own = folder / str(number)
                own.mkdir()
                scans.append(stage(file, own / "staging.duckdb", rules))
        with ledger.transaction(attach=staging_databases(scans)) as tx:
            changes = ingest(tx, scans, unchanged=unchanged, max_rejected_share=max_rejected_share, now=now)
            tx.execute("UPDATE state SET current_source = ?", [request.to_text()])
            result = ScanResult(tuple(scans), unchanged, changes, (*unchanged, *changes.scan_ids))
            _keep_options(tx, request, result)
            if run_id:
                _keep_request(tx, run_id, result, now)
    return result


def _keep_options(tx: Transaction, request: ScanRequest, result: ScanResult) -> None:
    """Store with each scan the options of its last request; a request that repeats them writes nothing."""
    tx.execute(
        """
        UPDATE scans SET options = $options
        WHERE list_contains($scans, scan_id) AND options IS DISTINCT FROM $options
        """,
        {"options": json.dumps(request.options), "scans": list(result.scan_ids)},
    )


def last_options(reader: Reader, files: Sequence[Path]) -> list[dict[str, str]]:
    """Return the options that each of these files was last read with; none for those never read."""
    found = reader.column(
        """
        SELECT arg_max(options, (coalesce(last_read_at, ingested_at), scan_id)) FROM scans
        WHERE list_contains(?, source) AND options IS NOT NULL GROUP BY source
        """,
        [[str(file) for file in files]],
    )
    return [dict(json.loads(options)) for options in found]


def _keep_request(tx: Transaction, run_id: str, result: ScanResult, now: datetime) -> None:
    tx.execute(
        """
        INSERT INTO scan_requests (
            run_id, requested_at, scan_ids, unchanged_scan_ids, new_findings, unchanged_findings, closed_findings)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        """,
        [
            run_id,
            now,
            list(result.scan_ids),
            list(result.unchanged_scans),
            result.changes.new,
            result.changes.unchanged,
            result.changes.closed,
        ],
    )


def last_request(tx: Reader) -> ScanRequest | None:
    """Return the last scan request, or None if there was none."""
    text = tx.scalar("SELECT current_source FROM state")
    return ScanRequest.from_text(text) if text else None
