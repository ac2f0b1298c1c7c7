"""What the Devin API tells, in terms that no API version shapes.

Words of the API (status, detail, states of pull requests) stay as they came: lists of them grow, and
what they mean for an attempt is decided elsewhere.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

PROMPT_LIMIT = 30_000
"""Characters a prompt must stay under: the API refuses longer ones with 400, as measured on v1."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class PullRequest(_Answer):
    """A pull request that a session says it opened; the URL is not checked here."""

    url: str
    state: str | None


class DevinSession(_Answer):
    """A session as the API showed it at one moment; times are UTC, the epoch where none was told.

    `structured_output` is None right after creation, and else whatever came: it is not validated here.
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
    """One message of a session's conversation; `source` is "devin", "user" or a word of the API's."""

    source: str
    text: str
    created_at: datetime | None


class Playbook(_Answer):
    """A playbook as the organisation keeps it."""

    playbook_id: str
    title: str
    body: str


class Identity(_Answer):
    """Whom a key belongs to; `org_id` is None for a key that is bound to no single organisation."""

    principal_type: str
    org_id: str | None
    name: str | None
