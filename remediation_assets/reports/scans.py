"""The result of reading files together, loaded from the ledger."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remediation_assets.ledger.transaction import Reader


@dataclass(frozen=True)
class RowCounts:
    """Rows of some scans; rows_in = accepted + rejected."""

    rows_in: int
    accepted: int
    rejected: int


def count_rows(reader: Reader, scan_ids: Sequence[int]) -> RowCounts:
    """Count the rows of some scans together."""
    return reader.one(
        RowCounts,
        """
        -- A sum of integers is a HUGEINT in DuckDB, and null over no rows.
        SELECT coalesce(sum(rows_in), 0)::BIGINT AS rows_in, coalesce(sum(accepted), 0)::BIGINT AS accepted,
            coalesce(sum(rejected), 0)::BIGINT AS rejected
        FROM scans WHERE list_contains(?, scan_id)
        """,
        [list(scan_ids)],
    )


def count_findings(reader: Reader) -> int:
    """Count the accepted rows of all current scans."""
    return int(reader.scalar("SELECT count(*) FROM findings"))


@dataclass(frozen=True)
class PlannedContents:
    """The newest scan that the waves were cut with, and the content that each file had in its last scan until then.

    Only a file's last scan counts: if a file gets back an earlier content, that is a change as well.
    """

    scan_id: int
    contents: Mapping[str, str]


def planned_contents(reader: Reader) -> PlannedContents:
    """Load what the present waves were cut from: the hash of each file's content, by the file's path."""
    planned = int(reader.scalar("SELECT coalesce(planned_scan_id, 0) FROM state"))
    last = reader.execute(
        "SELECT source, arg_max(content_hash, scan_id) FROM scans WHERE scan_id <= ? GROUP BY source", [planned]
    )
    return PlannedContents(planned, dict(last.fetchall()))


@dataclass(frozen=True)
class ScannedFile:
    """A file of a scan request and the counts of its scan; `skipped` counts results that are no open findings."""

    scan_id: int
    source: str
    format: str
    rows_in: int
    accepted: int
    rejected: int
    skipped: Mapping[str, int]
    notes: Sequence[str]
    encoding_guessed: bool
    is_new: bool
    """Whether the file was read now; else an earlier scan has read the same content."""


@dataclass(frozen=True)
class Rejection:
    """Rows of one scan that were rejected for one reason, with the first lines and the id of one of them."""

    scan_id: int
    reason: str
    rows: int
    lines: Sequence[int] | None
    finding_id: str | None


@dataclass(frozen=True)
class Presence:
    """The number of findings that were fixed and have been reported again since, for one kind of presence."""

    presence: str
    findings: int


@dataclass(frozen=True)
class ScanReport:
    """The result of the files that one run read together, and the figures of all findings now."""

    files: Sequence[ScannedFile]
    rejections: Sequence[Rejection]
    new: int
    unchanged: int
    closed: int
    findings: int
    duplicates: int
    presence: Sequence[Presence]


@dataclass(frozen=True)
class _Request:
    scan_ids: Sequence[int]
    unchanged_scan_ids: Sequence[int]
    new_findings: int
    unchanged_findings: int
    closed_findings: int


def scan_report(reader: Reader, run_id: str) -> ScanReport:
    """Load the report on the files that a run read; raise ValueError if the run read none."""
    request = reader.one(
        _Request,
        """
        SELECT scan_ids, unchanged_scan_ids, new_findings, unchanged_findings, closed_findings FROM scan_requests
        WHERE run_id = ?
        """,
        [run_id],
    )
    scan_ids = list(request.scan_ids)
    return ScanReport(
        files=_files(reader, scan_ids, request.unchanged_scan_ids),
        rejections=reader.rows(
            Rejection,
            """
            SELECT scan_id, reason, count(*) AS rows,
                -- Five lines show a person what is wrong with the file; one mistake can be in all of a million.
                (list(line_number ORDER BY line_number) FILTER (line_number IS NOT NULL))[:5] AS lines,
                any_value(finding_id) AS finding_id
            FROM rejected_findings WHERE list_contains(?, scan_id)
            GROUP BY scan_id, reason ORDER BY count(*) DESC, reason
            """,
            [scan_ids],
        ),
        new=request.new_findings,
        unchanged=request.unchanged_findings,
        closed=request.closed_findings,
        findings=reader.scalar("SELECT count(*) FROM prioritized_findings"),
        duplicates=reader.scalar("SELECT count(*) FROM duplicate_findings"),
        presence=reader.rows(
            Presence,
            """
            SELECT replace(presence, '_', ' ') AS presence, count(*) AS findings FROM fixed_findings
            WHERE presence != 'not seen since' GROUP BY ALL ORDER BY ALL
            """,
        ),
    )


def scan_rows(reader: Reader, run_id: str) -> list[dict[str, Any]]:
    """Load the rows of `scans` that a run read, as they are."""
    return reader.records(
        """
        SELECT s.* FROM scans s JOIN scan_requests r ON list_contains(r.scan_ids, s.scan_id) WHERE r.run_id = ?
        ORDER BY s.scan_id
        """,
        [run_id],
    )


def _files(reader: Reader, scan_ids: Sequence[int], unchanged: Sequence[int]) -> list[ScannedFile]:
    rows = reader.records(
        """
        SELECT scan_id, source, format, rows_in, accepted, rejected, skipped, notes, encoding_guessed FROM scans
        WHERE list_contains(?, scan_id) ORDER BY scan_id
        """,
        [list(scan_ids)],
    )
    return [
        ScannedFile(
            **row
            | {
                "skipped": json.loads(row["skipped"] or "{}"),
                "notes": json.loads(row["notes"] or "[]"),
                "encoding_guessed": bool(row["encoding_guessed"]),
                "is_new": row["scan_id"] not in unchanged,
            }
        )
        for row in rows
    ]
