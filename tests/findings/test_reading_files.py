"""Which files are findings files, and the reason for refusing those that are not."""

import gzip
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.findings.intake import decode
from remediation_assets.findings.intake.csv_header import MUST_BE_FILLED, REQUIRED
from remediation_assets.findings.intake.stage import StagedScan, stage
from remediation_assets.findings.intake.validate import Rules
from remediation_assets.models import Finding
from tests.support.samples import row, rows, write

HEADER = ",".join(row(1))


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str | bytes], StagedScan]:
    """Read a file with this content."""

    def read(content: str | bytes) -> StagedScan:
        source = tmp_path / "findings.csv"
        source.write_bytes(content if isinstance(content, bytes) else content.encode())
        return stage(source, tmp_path / "staging.duckdb", Rules(allow_reserved_hosts=True))

    return read


def line(number: int, **changes: str) -> str:
    return ",".join(row(number, **changes).values()) + "\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (HEADER.replace("severity", "seriousness") + "\n" + line(1), "has no column severity; expected a CSV file"),
        ("just some words\n", "has no column finding_id"),
        (HEADER + ",Title\n" + line(1), "has the column title twice; keep one of each"),
        (b"PK\x03\x04\xff\xfe\x00\x00", "is a zip archive; unpack it"),
        (b"\x7fELF\xff\xfe\x00\x00", "is not a text file; export the findings as CSV"),
        ("<!DOCTYPE html><title>Sign in</title>", "is HTML or XML, perhaps an error page; expected CSV, or JSON"),
    ],
)
def test_a_file_that_is_not_a_findings_file_is_refused_with_the_reason(
    read: Callable[[str | bytes], StagedScan], content: str | bytes, message: str
) -> None:
    with pytest.raises(FindingsFileError) as caught:
        read(content)
    assert message in str(caught.value)
    assert "findings.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "message"), [("missing.csv", "does not exist; give the path"), ("", "is a folder")])
def test_a_path_without_a_file_is_refused_with_the_reason(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(FindingsFileError, match=message):
        stage(tmp_path / name, tmp_path / "staging.duckdb", Rules(allow_reserved_hosts=True))
    assert not (tmp_path / "staging.duckdb").exists()


def test_a_refusal_for_missing_columns_names_all_that_are_needed(read: Callable[[str], StagedScan]) -> None:
    with pytest.raises(FindingsFileError) as caught:
        read("title\n")
    for name in REQUIRED:
        assert name in str(caught.value)


def test_the_columns_that_are_needed_are_the_models() -> None:
    assert [name for name, field in Finding.model_fields.items() if field.is_required()] == REQUIRED
    assert set(REQUIRED) - set(MUST_BE_FILLED) == {"description"}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(HEADER + "\n" + line(1), id="plain"),
        pytest.param(HEADER + "\n" + line(1).rstrip(), id="no line break at the end"),
        pytest.param((HEADER + "\n" + line(1)).replace("\n", "\r\n"), id="Windows"),
        pytest.param((HEADER + "\n" + line(1)).replace("\n", "\r"), id="old Mac"),
        pytest.param(b"\xef\xbb\xbf" + (HEADER + "\n" + line(1)).encode(), id="byte order mark"),
        pytest.param(HEADER.upper().replace(",", " , ") + "\n" + line(1), id="header in capitals with blanks"),
        pytest.param(HEADER + "\n" + line(1).replace(",", " , "), id="blanks around values"),
        pytest.param(HEADER + "\n" + line(1, category="XSS", severity="High"), id="words in capitals"),
        pytest.param(HEADER + "\n\n\n" + line(1) + "\n\n", id="blank lines"),
    ],
)
def test_a_file_is_read_however_it_is_written(read: Callable[[str | bytes], StagedScan], content: str | bytes) -> None:
    scan = read(content)
    assert (scan.rows_in, scan.accepted, scan.rejected) == (1, 1, 0)
    assert accepted(scan) == [("F-1", "xss", "high", "https://git.example.com/acme/shop", 1)]


def accepted(scan: StagedScan) -> list[tuple[object, ...]]:
    with duckdb.connect(str(scan.path), read_only=True) as connection:
        return connection.execute(
            "SELECT finding_id, category, severity, repo_url, line_number FROM accepted ORDER BY row_number"
        ).fetchall()


def test_optional_columns_may_be_missing(read: Callable[[str], StagedScan]) -> None:
    fields = row(1)
    del fields["line_number"]
    scan = read(",".join(fields) + "\n" + ",".join(fields.values()) + "\n")
    assert accepted(scan) == [("F-1", "xss", "high", "https://git.example.com/acme/shop", None)]
    assert scan.ignored_columns == ()


def test_extra_columns_are_named_and_not_read(tmp_path: Path) -> None:
    source = write(tmp_path / "findings.csv", [row(1) | {"Team Name": "a", "'; DROP TABLE raw; --": "b"}])
    scan = stage(source, tmp_path / "staging.duckdb", Rules(allow_reserved_hosts=True))
    assert scan.ignored_columns == ("Team Name", "'; DROP TABLE raw; --")
    assert scan.accepted == 1


def test_a_file_with_a_header_alone_has_no_rows(read: Callable[[str], StagedScan]) -> None:
    scan = read(HEADER + "\n")
    assert (scan.rows_in, scan.accepted, scan.rejected) == (0, 0, 0)


def test_a_field_may_be_long(read: Callable[[str], StagedScan]) -> None:
    assert read(HEADER + "\n" + line(1, description="x" * 1_000_000)).accepted == 1


def test_a_field_beyond_all_measure_is_rejected_or_refused_in_a_sentence(
    read: Callable[[str], StagedScan],
) -> None:
    content = HEADER + "\n" + line(1, description="x" * 17_000_000) + line(2)
    try:
        scan = read(content)
    except FindingsFileError:
        return
    assert (scan.accepted, scan.rejected) == (1, 1)


def test_the_same_content_has_the_same_hash(tmp_path: Path) -> None:
    hashes = [
        stage(write(tmp_path / name, rows(count)), tmp_path / "s.duckdb", Rules(allow_reserved_hosts=True)).content_hash
        for name, count in [("a.csv", 2), ("b.csv", 2), ("c.csv", 3)]
    ]
    assert hashes[0] == hashes[1] != hashes[2]


TEXT = HEADER + "\n" + line(1, title='"Größe, 5 € “quoted”"').rstrip() + "\n" + line(2)


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.encode("cp1252"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r\n").encode("utf-16"),
        gzip.compress(TEXT.encode()),
        gzip.compress(TEXT.encode("cp1252")),
    ],
    ids=["utf-8", "mark", "utf-16", "little", "big", "utf-32", "windows", "crlf", "crlf utf-16", "gz", "gz windows"],
)
def test_text_is_read_in_the_usual_encodings(read: Callable[[str | bytes], StagedScan], content: bytes) -> None:
    scan = read(content)
    assert (scan.accepted, scan.rejected) == (2, 0)
    with duckdb.connect(str(scan.path), read_only=True) as connection:
        titles = connection.execute("SELECT title FROM accepted ORDER BY row_number").fetchall()
    assert titles == [("Größe, 5 € “quoted”",), ("Finding 2",)]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_recognized_by_the_header(
    read: Callable[[str | bytes], StagedScan], delimiter: str
) -> None:
    rows_of_text = [HEADER.split(","), *(list(row(number).values()) for number in (1, 2))]
    scan = read("\n".join(delimiter.join(fields) for fields in rows_of_text) + f"\n{delimiter.join('abc')}\n")
    assert (scan.accepted, scan.rejected) == (2, 1)


def test_a_header_may_have_blanks_dashes_and_capitals(read: Callable[[str | bytes], StagedScan]) -> None:
    header = " Finding ID,SCANNER,Category,Severity,Title,Description,Service Name,Repo-URL,File  Path,Line number "
    assert read(header + "\n" + line(1)).accepted == 1


def test_a_gzip_file_that_would_fill_the_disk_is_refused(
    read: Callable[[str | bytes], StagedScan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decode, "MAX_UNPACKED_BYTES", 10_000)
    with pytest.raises(FindingsFileError, match="; split it into smaller files"):
        read(gzip.compress(b"a" * 10_001))


def test_a_gzip_file_that_is_cut_off_is_refused(read: Callable[[str | bytes], StagedScan]) -> None:
    with pytest.raises(FindingsFileError, match="is a gzip file that is broken or cut off; fetch it again"):
        read(gzip.compress(TEXT.encode() * 1000)[:-20])


@pytest.mark.parametrize("at", [2, 300])
def test_a_bad_byte_rejects_only_its_own_row(read: Callable[[str | bytes], StagedScan], at: int) -> None:
    texts = [line(number, title="Größe").encode() for number in range(1, 400)]
    texts[at - 1] = texts[at - 1].replace("ö".encode(), b"\xf6")
    scan = read((HEADER + "\n").encode() + b"".join(texts))
    assert (scan.accepted, scan.rejected, scan.encoding_guessed) == (398, 1, False)


def test_a_guessed_encoding_is_marked(read: Callable[[str | bytes], StagedScan]) -> None:
    assert read(TEXT.encode("cp1252")).encoding_guessed
    assert not read(TEXT.encode("utf-16")).encoding_guessed


def test_json_is_never_taken_for_windows_text(read: Callable[[str | bytes], StagedScan]) -> None:
    assert not read('[{"Target": "caf\xe9", "Results": []}]'.encode("cp1252")).encoding_guessed


def test_a_refusal_names_the_file_that_was_given(tmp_path: Path) -> None:
    source = tmp_path / "mine.csv.gz"
    source.write_bytes(gzip.compress(b"\xff\xfe" + b"\x00\xd8" * 99))
    with pytest.raises(FindingsFileError, match=r"mine\.csv\.gz is not text in utf-16"):
        stage(source, tmp_path / "staging.duckdb", Rules(True))
