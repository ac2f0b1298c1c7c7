"""Whatever a file holds: every row is accounted for, the same rows make the same findings, no traceback."""

import csv
import io
import random
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remediation_assets.errors import RemediationError
from remediation_assets.findings.intake.scan import scan_files
from remediation_assets.findings.intake.stage import StagedScan, stage
from remediation_assets.findings.intake.validate import Rules
from remediation_assets.findings.rank import normalize, prioritize
from remediation_assets.findings.source_context import ScanRequest
from remediation_assets.ledger.ledger import Ledger, Stamp
from remediation_assets.models import FindingCategory, Severity
from remediation_assets.planning.waves import plan_waves
from tests.support.clock import NOON
from tests.support.processes import CHECKOUT
from tests.support.samples import row

COLUMNS = [*row(1), "cwe_id", "dependency_name", "fixed_version", "rule_id", "note of the scanner"]
RULES = Rules(allow_reserved_hosts=True)

pytestmark = pytest.mark.slow

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
# Few values, so that rows share findings; sometimes any text at all.
rows_of_text = st.fixed_dictionaries(
    {
        "finding_id": st.sampled_from(["F-1", "F-2", "", "=1+1"]) | text,
        "scanner": st.sampled_from(["Semgrep", "Trivy"]),
        "category": st.sampled_from([*map(str, FindingCategory), "XSS ", "unheard of"]),
        "severity": st.sampled_from([*map(str, Severity), "HIGH", ""]),
        "title": st.sampled_from(["A title", 'With "quotes", and\na line', "Größe"]) | text,
        "description": text,
        "service_name": st.sampled_from(["shop", "search"]),
        "repo_url": st.sampled_from(
            ["https://git.example.com/acme/shop", "https://Git.example.com/acme/shop.git/", "ssh://git@x/y", ""]
        ),
        "file_path": st.sampled_from(["src/a.py", "src/b.py"]),
        "line_number": st.sampled_from(["", "1", "2", "007", "-1", "many"]),
    },
    optional=dict.fromkeys(COLUMNS[-5:], text),
)
tables = st.lists(rows_of_text, min_size=1, max_size=12)


def as_csv(table: list[dict[str, str]], columns: list[str], delimiter: str = ",") -> bytes:
    file = io.StringIO()
    # All quoted: Python does not quote a bare carriage return, and a file with two kinds of line ends is refused.
    writer = csv.DictWriter(file, columns, restval="", delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(table)
    return file.getvalue().encode()


def staged(content: bytes) -> tuple[StagedScan, dict[str, list[tuple[Any, ...]]]]:
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "findings.csv"
        source.write_bytes(content)
        scan = stage(source, Path(name) / "staging.duckdb", RULES)
        with duckdb.connect(str(scan.path), read_only=True) as connection:
            return scan, {
                "accepted": connection.execute("SELECT * EXCLUDE (row_number) FROM accepted ORDER BY ALL").fetchall(),
                "rejected": connection.execute("SELECT line_number, reason FROM rejected ORDER BY ALL").fetchall(),
            }


@settings(max_examples=60, deadline=None)
@given(tables, st.randoms(), st.sampled_from(",;\t|"))
def test_rows_in_any_order_and_columns_in_any_order_make_the_same_findings(
    table: list[dict[str, str]], chance: random.Random, delimiter: str
) -> None:
    scan, found = staged(as_csv(table, COLUMNS))
    assert scan.rows_in == len(table) == len(found["accepted"]) + len(found["rejected"])
    shuffled, columns = chance.sample(table, len(table)), chance.sample(COLUMNS, len(COLUMNS))
    again, found_again = staged(as_csv(shuffled, columns, delimiter))
    assert (again.accepted, again.rejected) == (scan.accepted, scan.rejected)
    assert found_again["accepted"] == found["accepted"]


@settings(max_examples=60, deadline=None)
@given(tables)
def test_each_rejected_row_has_the_line_it_starts_at(table: list[dict[str, str]]) -> None:
    content = as_csv(table, COLUMNS)
    _, found = staged(content)
    reader = csv.reader(io.StringIO(content.decode(), newline=""))
    starts, at = [], 1
    for _ in reader:
        starts.append(at)
        at = reader.line_num + 1
    # A bare carriage return ends a line for the csv module, but not for an editor.
    if b"\r" not in content:
        assert {line for line, _ in found["rejected"]} <= set(starts[1:])


@settings(max_examples=200, deadline=None)
@given(tables, st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=4)), max_size=6), st.integers(0, 2000))
def test_a_file_that_was_damaged_is_read_or_refused_with_a_sentence(
    table: list[dict[str, str]], damages: list[tuple[int, bytes]], cut: int
) -> None:
    content = bytearray(as_csv(table, COLUMNS))
    for place, damage in damages:
        content[place : place + len(damage)] = damage
    try:
        scan, found = staged(bytes(content[: max(cut, 200)]))
    except RemediationError:
        return
    assert scan.rows_in == len(found["accepted"]) + len(found["rejected"])


@settings(max_examples=15, deadline=None)
@given(tables)
def test_merging_and_planning_lose_nothing_and_are_the_same_each_time(table: list[dict[str, str]]) -> None:
    plans = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as name:
            source = Path(name) / "findings.csv"
            source.write_bytes(as_csv(table, COLUMNS))
            ledger = Ledger(Path(name) / "data", Stamp("mock", "simulator", ""), publish_interval=3600)
            scanned = scan_files(ledger, ScanRequest((source,)), RULES, max_rejected_share=1.0, now=NOON)
            with ledger.transaction() as tx:
                merged = normalize(tx)
                prioritize(tx, {"default": 10.0})
                plan_waves(tx, wave_size=3, now=NOON)
                plans.append(tx.execute("SELECT * FROM wave_findings ORDER BY ALL").fetchall())
                [(wrong,)] = tx.execute(
                    """
                    SELECT count(*) FROM duplicate_findings d JOIN normalized_findings n USING (finding_key)
                    WHERE list_position($severities, d.severity) < list_position($severities, n.severity)
                    """,
                    {"severities": [str(severity) for severity in Severity]},
                ).fetchall()
                [(duplicates,)] = tx.execute("SELECT count(*) FROM duplicate_findings").fetchall()
            [scan] = scanned.new_scans
            assert scan.rows_in == scan.accepted + scan.rejected
            assert merged.accepted == scan.accepted == merged.kept + duplicates
            # Of two rows of one finding the one with the higher severity is kept.
            assert wrong == 0
            assert len(plans[-1]) == merged.kept
    assert plans[0] == plans[1]


@pytest.mark.parametrize("name", ["generic-with-epss.csv", "testssl.csv", "veracode-sca.csv"])
def test_exports_of_other_tools_are_refused_with_what_is_missing(name: str, tmp_path: Path) -> None:
    source = CHECKOUT.parent / "shared" / "samples" / "csv" / name
    if not source.exists():
        pytest.skip("the sample exports are not beside this checkout")
    with pytest.raises(
        RemediationError, match=r"has no column .*; expected a CSV file in UTF-8 whose first line names"
    ):
        stage(source, tmp_path / "staging.duckdb", RULES)
