"""Messages to Slack through an incoming webhook; nothing ever waits for them or fails with them.

Text is sent as rich text, which Slack shows as it is: nothing in it is read as markup or as a mention.
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

from remediation_assets.escaping import is_plain_url, plain

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 5.0

Part = Mapping[str, Any]
"""A piece of a line: text, a link or an emoji."""


@dataclass(frozen=True)
class Message:
    """Lines of parts; `summary` is what a notification shows, and holds nothing of others."""

    summary: str
    lines: Sequence[Sequence[Part]]

    @property
    def body(self) -> dict[str, Any]:
        """Give what the webhook takes; source: docs.slack.dev/reference/block-kit/blocks/rich-text-block."""
        parts: list[Part] = []
        for number, line in enumerate(self.lines):
            parts += [*([text("\n")] if number else []), *line]
        section = {"type": "rich_text_section", "elements": parts}
        return {"text": self.summary, "blocks": [{"type": "rich_text", "elements": [section]}]}


def text(words: object, *, bold: bool = False) -> Part:
    """Make a part of text; a line break stays one only where it stands alone."""
    shown = "\n" if words == "\n" else plain(words)
    return {"type": "text", "text": shown, **({"style": {"bold": True}} if bold else {})}


def link(url: str | None, label: str) -> list[Part]:
    """Make a link, with a blank before it; nothing where there is no URL that can be one."""
    return [text(" "), {"type": "link", "url": url, "text": label}] if url and is_plain_url(url) else []


def emoji(name: str) -> Part:
    """Make an emoji, by its name in Slack."""
    return {"type": "emoji", "name": name}


def announce(webhook: SecretStr, messages: Sequence[Message]) -> threading.Thread | None:
    """Send each message in a thread of its own accord, once; None where there is nothing or nowhere to send.

    A process that ends meanwhile waits a few seconds for it, then lets it go. What Slack does not take
    is logged and lost.
    """
    url = webhook.get_secret_value()
    if not url or not messages:
        return None
    thread = threading.Thread(target=_send, args=(url, tuple(messages)), name="slack", daemon=True)
    thread.start()
    atexit.register(_wait_for, thread, time.monotonic() + 2 * _PATIENCE_SECONDS)
    return thread


def _wait_for(thread: threading.Thread, until: float) -> None:
    thread.join(timeout=max(0.0, until - time.monotonic()))


def _send(url: str, messages: Sequence[Message]) -> None:
    unlogged = _Unlogged(threading.get_ident())
    logging.getLogger("httpx").addFilter(unlogged)
    try:
        with httpx.Client(timeout=_PATIENCE_SECONDS) as client:
            for message in messages:
                answer = client.post(url, json=message.body)
                if not answer.is_success:
                    logger.warning("Slack did not take a message: status %s.", answer.status_code)
    except Exception as error:  # a webhook that cannot even be parsed must not end the run either
        # Its text may hold the URL, which whoever has it can write with.
        logger.warning("Slack cannot be reached: %s.", type(error).__name__)
    finally:
        logging.getLogger("httpx").removeFilter(unlogged)


class _Unlogged(logging.Filter):
    """Keeps what httpx logs in one thread out of every log: it names the webhook, whose URL is a secret."""

    def __init__(self, thread: int) -> None:
        super().__init__()
        self._thread = thread

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread != self._thread
