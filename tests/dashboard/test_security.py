"""Access to the dashboard: token, host, origin and form checks, and the security headers."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.testclient import TestClient

from remediation_assets.dashboard.routes import create_app
from remediation_assets.dashboard.serve import CannotServe, serve
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.settings import Settings
from tests.support import synthetic_ledger

HOME = "http://127.0.0.1"
PAGES = ("/", "/findings", "/sessions", "/review", "/waves", "/api/status")


@pytest.fixture
def filled(ledger: Ledger, settings: Settings, tmp_path: Path) -> Ledger:
    synthetic_ledger.fill(ledger, settings, tmp_path, findings=30, sessions=16)
    return ledger


Visit = Callable[..., TestClient]


@pytest.fixture
def visit(filled: Ledger, settings: Settings) -> Visit:
    def visit(token: str = "", base_url: str = HOME) -> TestClient:
        with_token = settings.model_copy(update={"dashboard_token": SecretStr(token)})
        return TestClient(create_app(filled, with_token), base_url=base_url, follow_redirects=False)

    return visit


def form_of(page: Any) -> dict[str, str]:
    """Return the action and the token of the first review form of a page."""
    action = re.search(r'action="(/review/[^"]+)"', page.text)
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert action
    assert token
    return {"action": action[1], "token": token[1]}


def send(client: TestClient, form: dict[str, str], **changes: Any) -> Any:
    data = {"form_token": form["token"], "verdict": "approved", "reviewer": "Ada", "reason": ""} | changes.pop(
        "data", {}
    )
    headers = {"origin": str(client.base_url)} | changes.pop("headers", {})
    return client.post(form["action"], data=data, headers={name: value for name, value in headers.items() if value})


def test_every_response_has_the_security_headers(visit: Visit) -> None:
    client = visit()
    for path in (*PAGES, "/nothing", "/static/style.css", "/healthz"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


def test_without_a_token_only_this_machine_is_answered(visit: Visit) -> None:
    for base_url in ("http://127.0.0.1:3001", "http://localhost:3001", "http://[::1]:3001"):
        assert visit(base_url=base_url).get("/").status_code == 200
    for base_url in ("http://rebound.example", "http://192.168.1.7:3001", "http://127.0.0.1.example"):
        assert visit(base_url=base_url).get("/").status_code == 403


def test_another_machine_is_served_only_with_a_token(ledger: Ledger, settings: Settings) -> None:
    with pytest.raises(CannotServe, match=r"can be seen from other machines; set DASHBOARD_TOKEN"):
        serve(ledger, settings, "0.0.0.0", 0, print)
    with pytest.raises(CannotServe, match="cannot be served"):
        serve(ledger, settings.model_copy(update={"dashboard_token": SecretStr("t")}), "no-such-host.invalid", 0, print)


def test_every_page_requires_the_token_if_one_is_set(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediation_assets.dashboard.security.WRONG_TOKEN_SECONDS", 0)
    client = visit("s3cret", "https://dash.example")
    for path in PAGES[:-1]:
        answer = client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert client.get("/api/status").status_code == 401
    assert client.get("/api/status", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/api/status", headers={"authorization": "Bearer s3cret"}).status_code == 200
    assert client.get("/healthz").text == "ok"
    assert client.post("/review/x/1").status_code == 401

    page = client.get("/login")
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert token
    login = {"action": "/login", "token": token[1]}
    assert "That is not the token" in send(client, login, data={"token": "wrong"}).text
    assert client.get("/").status_code == 303
    assert send(client, login, data={"token": "s3cret"}, headers={"origin": "https://evil.example"}).status_code == 403
    answer = send(client, login, data={"token": "s3cret"})
    assert answer.status_code == 303
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "Secure" in answer.headers["set-cookie"]
    assert client.get("/").status_code == 200
    # The cookie of one dashboard is worthless to the next.
    assert visit("s3cret", "https://dash.example").get("/", cookies=dict(client.cookies)).status_code == 303
    assert "s3cret" not in "".join(client.get(path).text for path in PAGES)


def test_a_review_is_written_by_one_of_our_own_forms(visit: Visit, filled: Ledger) -> None:
    client = visit()
    form = form_of(client.get("/review"))
    assert send(client, form).status_code == 303
    with filled.published() as connection:
        verdicts = connection.execute("SELECT verdict, reviewer FROM reviews ORDER BY review_id").fetchall()
    assert verdicts == [("approved", "Ada"), ("rejected", "Ada"), ("approved", "Ada")]
    again = send(client, form, data={"verdict": "rejected", "reason": "no"})
    assert (again.status_code, "was approved by Ada in the meantime" in again.text) == (409, True)


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"headers": {"origin": "https://evil.example"}}, 403, "comes from another page"),
        ({"headers": {"origin": ""}}, 403, "comes from another page"),
        ({"headers": {"origin": "null"}}, 403, "comes from another page"),
        ({"headers": {"origin": "http://127.0.0.1:9999"}}, 403, "comes from another page"),
        ({"data": {"form_token": "0" * 64}}, 403, "has expired or is not from this dashboard"),
        ({"data": {"form_token": ""}}, 403, "has expired or is not from this dashboard"),
        ({"data": {"reason": "x" * 30_000}}, 403, "too long"),
        ({"headers": {"content-type": "text/plain"}}, 403, "unexpected content type"),
        ({"data": {"verdict": "merged"}}, 400, "approved or rejected"),
        ({"data": {"verdict": "reopened"}}, 409, "A rejection needs a reason"),
        ({"data": {"verdict": "rejected"}}, 409, "A rejection needs a reason"),
        ({"data": {"reviewer": " "}}, 409, "A review has a name"),
    ],
)
def test_a_forged_or_empty_form_writes_nothing(
    visit: Visit, filled: Ledger, changes: dict[str, Any], status: int, message: str
) -> None:
    client = visit()
    answer = send(client, form_of(client.get("/review")), **changes)
    assert (answer.status_code, message in answer.text) == (status, True)
    with filled.published() as connection:
        assert connection.execute("SELECT count(*) FROM reviews").fetchone() == (2,)


@pytest.mark.parametrize("host", ["[", "x/login?", "x/static/?", "127.0.0.1/login?", "", "a b", "127.0.0.1:99999999"])
def test_no_forged_host_opens_a_page(visit: Visit, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediation_assets.dashboard.security.WRONG_TOKEN_SECONDS", 0)
    for path in PAGES:
        assert visit("s3cret").get(path, headers={"host": host}).status_code in (303, 400, 401, 403)
        assert visit().get(path, headers={"host": host}).status_code in (200, 400, 403)
    assert visit().get("/", headers={"host": "["}).status_code == 403


def test_guesses_are_answered_one_after_the_other(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediation_assets.dashboard.security.WRONG_TOKEN_SECONDS", 0.05)
    with visit("s3cret") as client:
        begun = time.monotonic()
        for _ in range(4):
            assert client.get("/api/status", headers={"authorization": "Bearer guess"}).status_code == 401
        assert time.monotonic() - begun >= 0.2


def test_an_unexpected_error_is_answered_without_its_details(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remediation_assets.reports.pages.overview", lambda _: 1 / 0)
    answer = visit().get("/")
    assert (answer.status_code, "ZeroDivision" in answer.text) == (500, False)
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_form_without_its_cookie_is_refused(visit: Visit) -> None:
    form = form_of(visit().get("/review"))
    assert send(visit(), form).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/"), ("PUT", "/findings"), ("DELETE", "/sessions"), ("GET", "/review/a/1"), ("POST", "/api/status")],
)
def test_a_wrong_method_is_refused(visit: Visit, method: str, path: str) -> None:
    assert visit().request(method, path).status_code == 405


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/sessions/..%2f..", "/findings/%00"])
def test_nothing_but_pages_is_served(visit: Visit, path: str) -> None:
    assert visit().get(path).status_code == 404


def test_no_page_shows_a_secret(filled: Ledger, settings: Settings) -> None:
    with_secrets = settings.model_copy(
        update={
            "devin_api_key": SecretStr("cog_hidden"),
            "slack_webhook_url": SecretStr("https://hooks.example/hidden"),
        }
    )
    client = TestClient(create_app(filled, with_secrets), base_url=HOME)
    assert "hidden" not in "".join(client.get(path).text.replace('type="hidden"', "") for path in PAGES).replace(
        " hidden></p>", ""
    )
