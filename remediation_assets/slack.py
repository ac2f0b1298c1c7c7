"""Messages to Slack through an incoming webhook; nothing ever waits for them or fails with them."""

import logging
import threading
from collections.abc import Sequence

import httpx
from pydantic import SecretStr

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 5.0


def announce(webhook: SecretStr, messages: Sequence[str]) -> threading.Thread | None:
    """Send each message in a thread of its own accord, once; None where there is nothing or nowhere to send.

    A process that ends meanwhile waits some seconds for it. What Slack does not take is logged and lost.
    """
    url = webhook.get_secret_value()
    if not url or not messages:
        return None
    thread = threading.Thread(target=_send, args=(url, tuple(messages)), name="slack")
    thread.start()
    return thread


def _send(url: str, messages: Sequence[str]) -> None:
    unlogged = _Unlogged(url)
    logging.getLogger("httpx").addFilter(unlogged)
    try:
        with httpx.Client(timeout=_PATIENCE_SECONDS) as client:
            for message in messages:
                body = {"text": message, "unfurl_links": False, "unfurl_media": False}
                answer = client.post(url, json=body)
                if not answer.is_success:
                    logger.warning("Slack did not take a message: status %s.", answer.status_code)
    except Exception as error:  # a webhook that cannot even be parsed must not end the run either
        # Its text may hold the URL, which whoever has it can write with.
        logger.warning("Slack cannot be reached: %s.", type(error).__name__)
    finally:
        logging.getLogger("httpx").removeFilter(unlogged)


class _Unlogged(logging.Filter):
    """Keeps the webhook out of httpx's own log, for its URL is a secret."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def filter(self, record: logging.LogRecord) -> bool:
        return self._url not in record.getMessage()
