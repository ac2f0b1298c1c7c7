"""The file that was given is read, all of it, and nothing else."""

import os
from pathlib import Path

import pytest

from remediation_assets.findings.errors import FindingsFileChanged, FindingsFileError
from remediation_assets.findings.intake import stage as stage_module
from remediation_assets.findings.intake.stage import StagedScan, stage
from remediation_assets.findings.intake.validate import Rules
from tests.support import samples


def read(source: Path) -> StagedScan:
    return stage(source, source.parent / "staging.duckdb", Rules(allow_reserved_hosts=True))


@pytest.mark.parametrize("name", ["f[1].csv", "a*.csv", "what?.csv", "it's.csv", "a file.csv", "{a,b}.csv", "a\\b.csv"])
def test_a_path_is_not_a_pattern(tmp_path: Path, name: str) -> None:
    for other in ("f1.csv", "ab.csv", "whatx.csv", "a.csv"):
        samples.write(tmp_path / other, samples.rows(5))
    assert read(samples.write(tmp_path / name, samples.rows(3))).accepted == 3


def test_a_folder_with_brackets_is_not_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "exports[2026]").mkdir()
    assert read(samples.write(tmp_path / "exports[2026]" / "f.csv", samples.rows(3))).accepted == 3


def test_what_can_be_read_only_once_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FindingsFileError, match="is not a regular file; save it as a file"):
        read(tmp_path / "pipe")


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FindingsFileError, match="name is not UTF-8; rename it"):
        read(tmp_path / os.fsdecode(b"caf\xe9.csv"))


def test_a_quote_that_is_never_closed_does_not_swallow_the_rest(tmp_path: Path) -> None:
    source = samples.write(tmp_path / "f.csv", samples.rows(40))
    lines = source.read_text().splitlines(keepends=True)
    lines[3] = lines[3].replace("A weakness.", '"A weakness.')
    source.write_text("".join(lines))
    with pytest.raises(FindingsFileError, match="the row at line 4 opens a quote that is not closed"):
        read(source)


def test_two_quotes_that_are_never_closed_swallow_nothing_either(tmp_path: Path) -> None:
    source = samples.write(tmp_path / "f.csv", samples.rows(40))
    lines = source.read_text().splitlines(keepends=True)
    for number in (3, 30):
        lines[number] = lines[number].replace("A weakness.", '"A weakness.')
    source.write_text("".join(lines))
    with pytest.raises(FindingsFileError, match="the row at line 4 opens a quote that is not closed"):
        read(source)


def test_a_quote_in_an_unquoted_text_is_part_of_it(tmp_path: Path) -> None:
    rows = [samples.row(1), samples.row(2, severity="awful"), samples.row(3)]
    source = samples.write(tmp_path / "f.csv", rows)
    source.write_text(source.read_text().replace("A weakness.", 'a 15" pipe', 1))
    scan = read(source)
    assert (scan.accepted, scan.rejected) == (2, 1)


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/acme/shop",
        "https://gitlab.com/acme/group/shop",
        "https://bitbucket.org/acme/shop",
        "https://dev.azure.com/acme/My%20Project/_git/shop",
        "https://gitea.internal:30443/acme/shop",
        "https://git.internal/scm/acme/shop.git",
    ],
)
def test_addresses_of_the_usual_hosts_are_usable(tmp_path: Path, url: str) -> None:
    assert read(samples.write(tmp_path / "f.csv", [samples.row(1, repo_url=url)])).accepted == 1


def test_a_blank_first_line_is_refused(tmp_path: Path) -> None:
    source = samples.write(tmp_path / "f.csv", samples.rows(2))
    source.write_text("\n" + source.read_text())
    with pytest.raises(FindingsFileError, match="begins with a blank line; remove it"):
        read(source)


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/acme",
        "https://git.example.com/a/../b",
        "https://git.example.com/a/./b",
        "https://git.example.com/a/%2e%2e/b",
        "https://-/a/b",
        "https://git.example.com:99999/a/b",
        "https://git.example.com/a/b\\c",
    ],
)
def test_an_address_that_names_no_repository_is_rejected(tmp_path: Path, url: str) -> None:
    scan = read(samples.write(tmp_path / "f.csv", [samples.row(1, repo_url=url), samples.row(2)]))
    assert (scan.accepted, scan.rejected) == (1, 1)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = samples.write(tmp_path / "a.csv", samples.rows(3))
    real = stage_module.hash_of

    def slow_hash(path: Path) -> str:
        samples.write(source, samples.rows(9))
        return real(path)

    monkeypatch.setattr(stage_module, "hash_of", slow_hash)
    with pytest.raises(FindingsFileChanged, match="changed while it was read; read it again when it is complete"):
        read(source)
