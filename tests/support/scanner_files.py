"""Read a scanner's file in a test: what was accepted, rejected and skipped."""

import json
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from remediation_assets.findings.intake.stage import StagedScan, stage
from remediation_assets.findings.intake.validate import Rules
from remediation_assets.findings.source_context import SourceContext
from remediation_assets.ledger.transaction import Reader
from tests.support.processes import CHECKOUT

SHOP = SourceContext(repo_url="https://github.com/acme/shop", service="shop")
SAMPLES = CHECKOUT.parent / "shared" / "samples"


@dataclass(frozen=True)
class Reading:
    """A staged file: its counts, and its accepted and rejected rows."""

    scan: StagedScan
    rows: list[dict[str, Any]]
    rejected: list[dict[str, Any]]

    @property
    def keys(self) -> set[str]:
        return {row["finding_key"] for row in self.rows}

    def all(self, *names: str) -> list[Any]:
        return [row[names[0]] if len(names) == 1 else tuple(row[name] for name in names) for row in self.rows]


def read_file(source: Path, context: SourceContext = SHOP) -> Reading:
    with tempfile.TemporaryDirectory() as folder:
        scan = stage(source, Path(folder) / "staging.duckdb", Rules(True, source_context=context))
        with duckdb.connect(str(scan.path), read_only=True) as connection:
            reader = Reader(connection)
            rows, rejected = (
                reader.records(f"SELECT * FROM {table} ORDER BY row_number") for table in ("accepted", "rejected")
            )
    assert scan.rows_in == len(rows) + len(rejected)
    return Reading(scan, rows, rejected)


def read_text(content: str | bytes, context: SourceContext = SHOP) -> Reading:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "file"
        source.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_file(source, context)


def read(document: Any, context: SourceContext = SHOP) -> Reading:
    return read_text(json.dumps(document), context)


_OF_FINDINGS = {"results", "Results", "Vulnerabilities", "vulnerabilities", "packages", "groups", "affected", "ranges"}


def shuffled(document: Any, seed: int = 1, *, here: bool = True) -> Any:
    """Return the document with every list of findings in another order."""
    if isinstance(document, dict):
        return {name: shuffled(value, seed, here=name in _OF_FINDINGS) for name, value in document.items()}
    if not isinstance(document, list):
        return document
    changed = [shuffled(one, seed) for one in document]
    if here:
        random.Random(seed).shuffle(changed)
    return changed
