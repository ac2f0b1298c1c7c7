"""What became of the files that were read together, as the ledger has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    """The newest scan that waves were cut with, and the content of each file as it was read last by then.

    Only the last scan of a file counts: a content that comes back is a change as well.
    """

    scan_id: int
    contents: Mapping[str, str]


@dataclass(frozen=True)
class _LastRead:
    source: str
    content_hash: str


def planned_contents(reader: Reader) -> PlannedContents:
    """Load what the waves of today were cut from: by the path of each file, the hash of its content."""
    planned = int(reader.scalar("SELECT coalesce(planned_scan_id, 0) FROM state"))
    last = reader.rows(
        _LastRead,
        """
        SELECT source, arg_max(content_hash, scan_id) AS content_hash FROM scans WHERE scan_id <= ? GROUP BY source
        """,
        [planned],
    )
    return PlannedContents(planned, {one.source: one.content_hash for one in last})
