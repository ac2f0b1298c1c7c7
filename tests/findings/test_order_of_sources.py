"""Reading a source again moves nothing: equal scores keep the order in which their sources were first read."""

from pathlib import Path

from remediation_assets.ledger.ledger import Ledger
from remediation_assets.settings import Settings
from tests.support import samples


def ranked(ledger: Ledger) -> list[str]:
    with ledger.transaction() as tx:
        rows = tx.execute("SELECT finding_id FROM prioritized_findings ORDER BY priority_rank").fetchall()
    return [row[0] for row in rows]


def test_reading_one_of_two_sources_again_keeps_the_ranks(tmp_path: Path, ledger: Ledger, settings: Settings) -> None:
    first = samples.write(tmp_path / "a.csv", samples.rows(2))
    second = samples.write(tmp_path / "b.csv", [samples.row(3, scanner="Trivy"), samples.row(4, scanner="Trivy")])
    for source in (first, second):
        samples.ingest_file(ledger, source)
    samples.rank(ledger, settings)
    assert ranked(ledger) == ["F-1", "F-2", "F-3", "F-4"]
    samples.ingest_file(ledger, first)
    samples.rank(ledger, settings)
    assert ranked(ledger) == ["F-1", "F-2", "F-3", "F-4"]


def test_ranked_findings_stay_visible_while_their_source_is_read_again(
    tmp_path: Path, ledger: Ledger, settings: Settings
) -> None:
    source = samples.write(tmp_path / "a.csv", samples.rows(3))
    samples.ingest_file(ledger, source)
    samples.rank(ledger, settings)
    samples.ingest_file(ledger, source)
    assert ranked(ledger) == ["F-1", "F-2", "F-3"]
