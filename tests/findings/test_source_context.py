"""The source context: what a person says about files that do not name their repository, service or root."""

from pathlib import Path

import pytest

from remediation_assets.findings.errors import FindingsFileError
from remediation_assets.findings.formats.row import Row
from remediation_assets.findings.source_context import ScanRequest, Service, SourceContext, load_services

SERVICES = """
[[service]]
name = "shop"

[[service]]
name = "payments"
path = "services/payments/"

[[service]]
name = "ledger"
path = "services/payments/ledger"

[[service]]
name = "gapps"
root = "/tmp/gapps"
repo_url = "https://github.com/acme/gapps"

[[service]]
name = "web"
path = "ui"
repo_url = "https://github.com/acme/web"
"""


@pytest.fixture
def services(tmp_path: Path) -> tuple[Service, ...]:
    (tmp_path / "services.toml").write_text(SERVICES)
    return load_services(tmp_path / "services.toml")


@pytest.mark.parametrize(
    ("row", "resolved"),
    [
        (Row(file_path="a.py"), ("shop", "https://github.com/acme/mono", "a.py")),
        (
            Row(file_path="services/payments/a.py"),
            ("payments", "https://github.com/acme/mono", "services/payments/a.py"),
        ),
        (
            Row(file_path="services/payments-old/a.py"),
            ("shop", "https://github.com/acme/mono", "services/payments-old/a.py"),
        ),
        (
            Row(file_path="./services/payments/ledger/b.py"),
            ("ledger", "https://github.com/acme/mono", "services/payments/ledger/b.py"),
        ),
        (Row(file_path="/tmp/gapps/req.txt"), ("gapps", "https://github.com/acme/gapps", "req.txt")),
        (Row(file_path="/tmp/gapps2/req.txt"), ("shop", "https://github.com/acme/mono", "/tmp/gapps2/req.txt")),
        (Row(file_path="ui/a.ts"), ("web", "https://github.com/acme/web", "ui/a.ts")),
        # A repository that the file names goes before the source context.
        (
            Row(file_path="ui/a.ts", repo_url="https://github.com/acme/x"),
            ("shop", "https://github.com/acme/x", "ui/a.ts"),
        ),
        (
            Row(file_path="ui/a.ts", repo_url="https://github.com/acme/web.git"),
            ("web", "https://github.com/acme/web.git", "ui/a.ts"),
        ),
    ],
)
def test_the_longest_path_names_the_service(
    services: tuple[Service, ...], row: Row, resolved: tuple[str, str, str]
) -> None:
    found = SourceContext(repo_url="https://github.com/acme/mono", services=services).resolve(row)
    assert (found["service_name"], found["repo_url"], found["file_path"]) == resolved


def test_without_a_service_its_name_is_that_of_the_repository() -> None:
    found = SourceContext(repo_url="https://github.com/acme/shop.git/").resolve(Row(file_path="a"))
    assert found["service_name"] == "shop"
    assert SourceContext().resolve(Row(file_path="a"))["service_name"] is None


def test_a_scan_request_survives_being_kept_as_text() -> None:
    request = ScanRequest((Path("/a b/c.sarif"), Path("/d")), "https://github.com/acme/shop", service="s", root="/r")
    assert ScanRequest.from_text(request.to_text()) == request
    assert ScanRequest.from_text("/a.csv\n/b.csv") == ScanRequest((Path("/a.csv"), Path("/b.csv")))


def test_another_source_context_has_another_fingerprint() -> None:
    contexts = [
        SourceContext(),
        SourceContext(repo_url="a"),
        SourceContext(service="a"),
        SourceContext(root="a"),
        SourceContext(services=(Service("a"),)),
    ]
    assert len({one.fingerprint for one in contexts}) == len(contexts)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[[services]]\nname = 'a'\n", "is not a services file; expected tables"),
        ("service = 'a'\n", "is not a services file; expected tables"),
        ("[[service]]\npath = 'a'\n", "name is required, and all values are texts"),
        ("[[service]]\nname = 3\n", "name is required, and all values are texts"),
        ("[[service]]\nname = 'a'\nprefix = 'b'\n", "prefix is not one of its fields"),
        ("[[service]\n", "is not TOML in UTF-8"),
    ],
)
def test_a_services_file_that_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "services.toml").write_text(content)
    with pytest.raises(FindingsFileError) as caught:
        load_services(tmp_path / "services.toml")
    assert message in str(caught.value)


def test_a_missing_services_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(FindingsFileError, match="cannot be read"):
        load_services(tmp_path / "nowhere.toml")
