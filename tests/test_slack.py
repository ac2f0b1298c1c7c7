"""Slack: each message is sent once, and neither waiting nor failing there is felt by anybody."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr

from remediation_assets.slack import Message, announce, emoji, link, text
from tests.support.hostile_texts import HOSTILE
from tests.support.processes import run

SECRET_PATH = "/services/T000/B000/secret5a17"

# A server that sends a line from time to time keeps httpx reading.
ANNOUNCE_AND_END = """
import socket, threading, time
from pydantic import SecretStr
from remediation_assets.slack import Message, announce, text
server = socket.create_server(("127.0.0.1", 0))
def drip():
    connection, _ = server.accept()
    connection.sendall(b"HTTP/1.1 200 OK\\r\\n")
    while True:
        connection.sendall(b"x-drip: 1\\r\\n")
        time.sleep(0.5)
threading.Thread(target=drip, daemon=True).start()
announce(SecretStr(f"http://127.0.0.1:{server.getsockname()[1]}/hook"), [Message("one", [[text("one")]])])
"""


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


def message(words: str) -> Message:
    return Message(words, [[text(words)]])


def sent(url: str, *words: str) -> None:
    thread = announce(SecretStr(url), [message(each) for each in words])
    assert thread is not None
    thread.join(timeout=30)
    assert not thread.is_alive()


def test_each_message_is_sent_once_in_order(webhook: Webhook) -> None:
    sent(webhook.url, "one", "two")
    assert [body["text"] for body in webhook.bodies] == ["one", "two"]
    assert [body["blocks"][0]["type"] for body in webhook.bodies] == ["rich_text", "rich_text"]


def test_without_a_webhook_nothing_is_sent(webhook: Webhook) -> None:
    assert announce(SecretStr(""), [message("one")]) is None
    assert announce(SecretStr(webhook.url), []) is None
    assert webhook.bodies == []


def test_nobody_waits_for_slack(webhook: Webhook) -> None:
    webhook.delay = 1.0
    begun = time.monotonic()
    thread = announce(SecretStr(webhook.url), [message("one")])
    assert time.monotonic() - begun < 0.5
    assert thread is not None
    thread.join()


@pytest.mark.parametrize("change", [str, str.upper, lambda url: url + " "], ids=["as it is", "capitals", "a blank"])
def test_the_webhook_stands_in_no_log_however_it_is_written(
    webhook: Webhook, change: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sent(change(webhook.url), "one")
    assert SECRET_PATH.lower() not in caplog.text.lower()


@pytest.mark.slow
def test_a_process_that_ends_waits_for_slack_and_not_for_ever() -> None:
    begun = time.monotonic()
    assert run(ANNOUNCE_AND_END).returncode == 0
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
def test_nothing_in_a_text_is_markup(words: str) -> None:
    body = Message(
        "A summary.", [[emoji("tada"), text(words, bold=True)], link("https://git.example.com/a", words)]
    ).body
    (block,) = body["blocks"]
    (section,) = block["elements"]
    assert body["text"] == "A summary."
    assert [part["type"] for part in section["elements"]] == ["emoji", "text", "text", "text", "link"]
    assert section["elements"][1]["text"].isprintable()
    json.dumps(body).encode()


def test_what_is_no_plain_url_is_no_link() -> None:
    assert link("javascript:alert(1)", "session") == []
    assert link(None, "session") == []


@pytest.mark.parametrize("status", [302, 400, 404, 500])
def test_what_slack_does_not_take_is_logged_without_the_webhook(
    webhook: Webhook, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    webhook.status = status
    sent(webhook.url, "one")
    assert f"Slack did not accept a message: status {status}." in caplog.text
    assert SECRET_PATH not in caplog.text


@pytest.mark.parametrize("url", ["http://127.0.0.1:9" + SECRET_PATH, "http://[bad" + SECRET_PATH, "nonsense"])
def test_where_slack_cannot_be_reached_nothing_fails(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sent(url, "one")
    assert "Slack cannot be reached" in caplog.text
    assert SECRET_PATH not in caplog.text
