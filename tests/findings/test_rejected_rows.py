"""Which rows are rejected, why, and from which line; none is lost."""

from pathlib import Path

import duckdb
import pytest

from remediation_assets.findings.intake.csv_header import MUST_BE_FILLED
from remediation_assets.findings.intake.stage import stage
from remediation_assets.findings.intake.validate import Rules
from tests.support.samples import row

HEADER = ",".join(row(1)) + "\n"

Rejected = list[tuple[int, str | None, str]]


def line(number: int, **changes: str) -> str:
    return ",".join(row(number, **changes).values()) + "\n"


def validate(
    tmp_path: Path, content: str | bytes, *, reserved: bool = True, hosts: tuple[str, ...] = ()
) -> tuple[list[str], Rejected]:
    """Read a file; return the ids of the accepted rows, and line, id and reason of the others."""
    source = tmp_path / "findings.csv"
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    scan = stage(source, tmp_path / "staging.duckdb", Rules(reserved, hosts))
    with duckdb.connect(str(scan.path), read_only=True) as connection:
        accepted = [
            one for (one,) in connection.execute("SELECT finding_id FROM accepted ORDER BY row_number").fetchall()
        ]
        rejected = connection.execute("SELECT line_number, finding_id, reason FROM rejected ORDER BY ALL").fetchall()
    assert (scan.rows_in, scan.accepted, scan.rejected) == (
        len(accepted) + len(rejected),
        len(accepted),
        len(rejected),
    )
    return accepted, rejected


def reasons(
    tmp_path: Path,
    changes: list[dict[str, str]],
    *,
    reserved: bool = True,
    hosts: tuple[str, ...] = (),
) -> list[str | None]:
    """Read a file with a row for each of the changes; return why each was rejected, or None if it was not."""
    content = HEADER + "".join(line(number, **one) for number, one in enumerate(changes, start=1))
    accepted, rejected = validate(tmp_path, content, reserved=reserved, hosts=hosts)
    assert len(accepted) + len(rejected) == len(changes)
    by_line = {number: why for number, _, why in rejected}
    return [by_line.get(number) for number in range(2, len(changes) + 2)]


def of_repositories(
    tmp_path: Path, *urls: str, reserved: bool = True, hosts: tuple[str, ...] = ()
) -> dict[str, str | None]:
    """Return why a row with each of the repositories was rejected, or None if it was not."""
    found = reasons(tmp_path, [{"repo_url": url} for url in urls], reserved=reserved, hosts=hosts)
    return dict(zip(urls, found, strict=True))


def test_a_row_without_a_required_value_is_rejected(tmp_path: Path) -> None:
    for value in ("", "  "):
        found = reasons(tmp_path, [{name: value} for name in MUST_BE_FILLED])
        assert found == [f"missing required field {name}" for name in MUST_BE_FILLED]


def test_a_row_without_a_description_is_accepted(tmp_path: Path) -> None:
    assert reasons(tmp_path, [{"description": ""}]) == [None]


def test_a_row_with_an_unknown_severity_or_category_is_rejected(tmp_path: Path) -> None:
    changes = [{"severity": "catastrophic"}, {"severity": "9.8"}, {"category": "sql injection"}]
    assert reasons(tmp_path, changes) == ["unknown severity", "unknown severity", "unknown category"]


def test_a_line_number_is_a_whole_number_from_1_or_absent(tmp_path: Path) -> None:
    good, bad = ["", "1", "007", " 7 "], ["abc", "0", "-4", "12-14", "99999999999999999999"]
    found = reasons(tmp_path, [{"line_number": value} for value in good + bad])
    assert found == [None] * len(good) + ["bad line number"] * len(bad)


def test_a_line_number_in_another_notation_is_bad(tmp_path: Path) -> None:
    found = reasons(tmp_path, [{"line_number": value} for value in ("3.7", "1e2", "0x10", "1_000")])
    assert found == ["bad line number"] * 4


def test_a_row_without_a_usable_repository_is_rejected(tmp_path: Path) -> None:
    found = of_repositories(
        tmp_path,
        "http://git.example.com/acme/shop",
        "git@git.example.com:acme/shop.git",
        "ssh://git@git.example.com/acme/shop",
        "git.example.com/acme/shop",
        "https://git.example.com",
        "https://git.example.com/",
        "https://user:secret@git.example.com/acme/shop",
        "https://git.example.com/acme/shop?token=1",
        "https://git.example.com/acme/shop#readme",
        "https://git.example.com/acme/the shop",
        "https:///acme/shop",
        "javascript:alert(1)",
        "acme/shop",
    )
    assert found == dict.fromkeys(found, "not the https URL of a repository")


def test_a_repository_with_dots_for_a_name_is_not_usable(tmp_path: Path) -> None:
    found = of_repositories(tmp_path, "https://.../acme/shop", "https://git.example.com/../shop", "https://-/acme/shop")
    assert found == dict.fromkeys(found, "not the https URL of a repository")


def test_a_repository_with_an_https_address_is_usable(tmp_path: Path) -> None:
    found = of_repositories(
        tmp_path,
        "https://git.example.com/acme/shop",
        "https://git.example.com/acme/shop.git",
        "https://GIT.example.com/acme/shop",
        "https://git.example.com:8443/acme/group/shop",
    )
    assert found == dict.fromkeys(found)


def test_a_slash_at_the_end_of_a_repository_does_no_harm(tmp_path: Path) -> None:
    found = of_repositories(tmp_path, "https://git.example.com/acme/shop/", "https://git.example.com/acme/shop.git/")
    assert found == dict.fromkeys(found)


def test_example_hosts_are_for_the_simulator_only(tmp_path: Path) -> None:
    hosts = ["git.example.com", "example.org", "EXAMPLE.NET", "a.test", "b.invalid", "localhost", "an.example"]
    urls = [f"https://{host}/acme/shop" for host in hosts]
    assert of_repositories(tmp_path, *urls) == dict.fromkeys(urls)
    refused = of_repositories(tmp_path, *urls, reserved=False)
    assert refused == dict.fromkeys(urls, "repository is on an example host")


def test_other_hosts_are_accepted_without_the_simulator_too(tmp_path: Path) -> None:
    hosts = ["github.com", "notexample.com", "example.com.evil.org", "localhost.corp.io"]
    found = of_repositories(tmp_path, *(f"https://{host}/acme/shop" for host in hosts), reserved=False)
    assert found == dict.fromkeys(found)


def test_only_allowed_hosts_are_accepted_if_any_are_named(tmp_path: Path) -> None:
    hosts = ["github.com", "GitHub.com", "gitlab.com", "github.com.evil.org", "evil-github.com"]
    urls = [f"https://{host}/acme/shop" for host in hosts]
    found = of_repositories(tmp_path, *urls, hosts=("GitHub.com",))
    assert list(found.values()) == [None, None, *["repository host is not in ALLOWED_REPO_HOSTS"] * 3]


def test_the_first_thing_wrong_with_a_row_is_its_reason(tmp_path: Path) -> None:
    found = reasons(tmp_path, [{"title": "", "severity": "odd", "line_number": "x"}])
    assert found == ["missing required field title"]


def test_ragged_rows_are_rejected_and_the_rest_is_read(tmp_path: Path) -> None:
    content = HEADER + line(1) + line(2).replace("\n", ",more\n") + "too,few\n" + line(4)
    accepted, rejected = validate(tmp_path, content)
    assert accepted == ["F-1", "F-4"]
    assert rejected == [
        (3, None, "malformed row: too many columns"),
        (4, None, "malformed row: missing columns"),
    ]


def test_a_row_with_broken_quotes_is_rejected(tmp_path: Path) -> None:
    accepted, rejected = validate(tmp_path, HEADER + line(1) + line(2, title='"a" quote') + line(3))
    assert accepted == ["F-1", "F-3"]
    assert [(number, why.split(":")[0]) for number, _, why in rejected] == [(3, "malformed row")]


def test_a_row_that_is_not_utf_8_far_down_the_file_is_rejected(tmp_path: Path) -> None:
    content = (HEADER + "".join(line(number, title="Ünïcode") for number in range(1, 1001))).encode()
    accepted, rejected = validate(tmp_path, content + line(1001, title="café").encode("latin-1") + line(1002).encode())
    assert (len(accepted), accepted[-1]) == (1001, "F-1002")
    assert rejected == [(1002, None, "malformed row: invalid encoding")]


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
def test_rejected_rows_have_the_number_of_the_line_they_start_at(tmp_path: Path, line_break: str) -> None:
    content = "".join(
        [
            HEADER,  # line 1
            line(1, title='"in two\nlines"'),  # 2 and 3
            "\n",  # 4
            line(2, severity="odd"),  # 5
            line(3, description='"a\n\nb"', category="odd"),  # 6 to 8
            "\n\n",  # 9 and 10
            "ragged\n",  # 11
            line(4),  # 12
            line(5, line_number="x"),  # 13
        ]
    )
    accepted, rejected = validate(tmp_path, content.replace("\n", line_break))
    assert accepted == ["F-1", "F-4"]
    assert rejected == [
        (5, "F-2", "unknown severity"),
        (6, "F-3", "unknown category"),
        (11, None, "malformed row: missing columns"),
        (13, "F-5", "bad line number"),
    ]


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (line(1) + "\n\n" + "too,few\n" + line(2, severity="odd"), [5, 6]),
        ("\n" + line(1, severity="odd") + "\n" + "too,few\n", [3, 5]),
        (line(1, title='"two\nlines"', severity="odd") + "too,few\n" + line(3, severity="odd"), [2, 4, 5]),
        ('"a ""b""",' + line(1) + line(2, title='"x\n\ny"') + line(3, severity="odd"), [2, 6]),
        (line(1) + line(2, severity="odd").rstrip(), [3]),
    ],
    ids=["blank before a ragged row", "blank before both", "quoted breaks", "ragged and quoted", "no last line end"],
)
def test_the_line_of_a_rejected_row_is_the_one_that_an_editor_shows(
    tmp_path: Path, content: str, lines: list[int]
) -> None:
    _, rejected = validate(tmp_path, HEADER + content)
    assert sorted(number for number, *_ in rejected) == lines
