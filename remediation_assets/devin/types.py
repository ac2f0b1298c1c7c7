"""What the Devin API reports, in terms independent of its version.

The API's words (status, detail, states of pull requests) stay as the API sent them: new words appear, and
what a word means for an attempt is decided elsewhere.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

PROMPT_LIMIT = 30_000
"""A prompt must be shorter than this many characters: the API answers 400 to others, as measured on v1."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class PullRequest(_Answer):
    """A pull request that a session says it opened; the URL is not checked here."""

    url: str
    state: str | None


class DevinSession(_Answer):
    """A session as the API showed it at one moment; times are UTC, the epoch if the API reports none.

    `structured_output` is None right after creation and can be any JSON later on: it is not validated here.
    `acus_consumed` is None if the API does not report it (v1). `raw` is the JSON object that the session was
    read from.
    """

    session_id: str
    url: str
    status: str
    status_detail: str | None
    pull_requests: tuple[PullRequest, ...]
    structured_output: Any
    acus_consumed: float | None
    created_at: datetime
    updated_at: datetime
    tags: tuple[str, ...]
    title: str | None
    is_archived: bool
    raw: dict[str, Any]


class Message(_Answer):
    """One message of a session's conversation; `source` is "devin", "user" or another word of the API."""

    source: str
    text: str
    created_at: datetime | None


class Playbook(_Answer):
    """A playbook in the organisation's account at Devin."""

    playbook_id: str
    title: str
    body: str


class Identity(_Answer):
    """Whom a key belongs to; `org_id` is None if the key is not bound to a single organisation."""

    principal_type: str
    org_id: str | None
    name: str | None
