"""Slack: each message is sent once, and neither waiting nor failing there is felt by anybody."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr

from remediation_assets.slack import announce

SECRET_PATH = "/services/T000/B000/secret5a17"


class Webhook:
    """A server in the place of Slack's."""

    def __init__(self, origin: str) -> None:
        self.url = origin + SECRET_PATH
        self.bodies: list[dict[str, Any]] = []
        self.status = 200
        self.delay = 0.0


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with serving() as found:
        yield found


@contextmanager
def serving() -> Iterator[Webhook]:
    class Handler(BaseHTTPRequestHandler):
        hook: ClassVar[Webhook]

        def do_POST(self) -> None:
            time.sleep(self.hook.delay)
            self.hook.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(self.hook.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Handler.hook = Webhook(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Handler.hook
        server.shutdown()


def sent(url: str, *messages: str) -> None:
    thread = announce(SecretStr(url), messages)
    assert thread is not None
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_each_message_is_sent_once_in_order(webhook: Webhook) -> None:
    sent(webhook.url, "one", "two")
    assert [body["text"] for body in webhook.bodies] == ["one", "two"]


def test_without_a_webhook_nothing_is_sent(webhook: Webhook) -> None:
    assert announce(SecretStr(""), ["one"]) is None
    assert announce(SecretStr(webhook.url), []) is None
    assert webhook.bodies == []


def test_nobody_waits_for_slack(webhook: Webhook) -> None:
    webhook.delay = 1.0
    begun = time.monotonic()
    thread = announce(SecretStr(webhook.url), ["one"])
    assert time.monotonic() - begun < 0.5
    assert thread is not None
    thread.join()


@pytest.mark.parametrize("status", [302, 400, 404, 500])
def test_what_slack_does_not_take_is_logged_without_the_webhook(
    webhook: Webhook, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook.status = status
    sent(webhook.url, "one")
    assert f"Slack did not take a message: status {status}." in caplog.text
    assert SECRET_PATH not in caplog.text


@pytest.mark.parametrize("url", ["http://127.0.0.1:9" + SECRET_PATH, "http://[bad" + SECRET_PATH, "nonsense"])
def test_where_slack_cannot_be_reached_nothing_fails(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sent(url, "one")
    assert "Slack cannot be reached" in caplog.text
    assert SECRET_PATH not in caplog.text
