"""Messages to Slack through an incoming webhook; nothing waits for them, and nothing fails if they fail.

Text is sent as rich text, which Slack shows literally: nothing in it becomes markup or a mention. What is
worth a message is decided elsewhere.
"""

import atexit
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import SecretStr

from remediation_assets.escape import is_plain_url, plain

logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 5.0

Part = Mapping[str, Any]
"""A piece of a line: text, a link or an emoji."""


@dataclass(frozen=True)
class Message:
    """Lines of parts; `summary` is what a notification shows, and holds no untrusted text."""

    summary: str
    lines: Sequence[Sequence[Part]]

    @property
    def body(self) -> dict[str, Any]:
        """Return the body for the webhook; source: docs.slack.dev/reference/block-kit/blocks/rich-text-block."""
        # Line breaks go between parts, never into them: `text` makes any other break a blank.
        parts: list[Part] = []
        for number, line in enumerate(self.lines):
            parts += [*([text("\n")] if number else []), *line]
        section = {"type": "rich_text_section", "elements": parts}
        return {"text": self.summary, "blocks": [{"type": "rich_text", "elements": [section]}]}


def text(value: object, *, bold: bool = False) -> Part:
    """Return a part of text; a line break stays one only if it is the whole text."""
    shown = "\n" if value == "\n" else plain(value)
    return {"type": "text", "text": shown, **({"style": {"bold": True}} if bold else {})}


def link(url: str | None, label: str) -> list[Part]:
    """Return a link with a blank before it, or nothing without a URL that is safe to show."""
    return [text(" "), {"type": "link", "url": url, "text": label}] if url and is_plain_url(url) else []


def emoji(name: str) -> Part:
    """Return an emoji by its name in Slack."""
    return {"type": "emoji", "name": name}


def announce(webhook: SecretStr, messages: Sequence[Message]) -> threading.Thread | None:
    """Send each message once, in a thread of its own; return None if there is nothing, or nowhere, to send.

    A process that ends while the thread is sending waits a few seconds for it, then abandons it. A message
    that Slack does not accept is logged and lost.
    """
    url = webhook.get_secret_value()
    if not url or not messages:
        return None
    # A daemon, for a thread that Python waits for at exit would let a silent server keep a run from ending;
    # with a wait of its own, because the last message of a run is sent when the process is about to end.
    thread = threading.Thread(target=_send, args=(url, tuple(messages)), name="slack", daemon=True)
    thread.start()
    atexit.register(_wait_for, thread, time.monotonic() + 2 * _TIMEOUT_SECONDS)
    return thread


def _wait_for(thread: threading.Thread, until: float) -> None:
    thread.join(timeout=max(0.0, until - time.monotonic()))


def _send(url: str, messages: Sequence[Message]) -> None:
    muted = _MutedThread(threading.get_ident())
    logging.getLogger("httpx").addFilter(muted)
    try:
        with httpx.Client(timeout=_TIMEOUT_SECONDS) as client:
            for message in messages:
                answer = client.post(url, json=message.body)
                # Redirects are not followed: the body would go to an address nobody configured.
                if not answer.is_success:
                    logger.warning("Slack did not accept a message: status %s.", answer.status_code)
    except Exception as error:  # a webhook that cannot even be parsed must not fail the run
        # The error's text may hold the URL, and whoever has that can write to the channel.
        logger.warning("Slack cannot be reached: %s.", type(error).__name__)
    finally:
        logging.getLogger("httpx").removeFilter(muted)


class _MutedThread(logging.Filter):
    """Drops what httpx logs in one thread: it logs each URL, and the webhook's is a secret."""

    def __init__(self, thread: int) -> None:
        super().__init__()
        self._thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread != self._thread
