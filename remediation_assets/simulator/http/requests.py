"""The bodies of requests, as both versions validate them; unknown fields are ignored, as FastAPI does."""

import json
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

# The simulator's own, not the client's: a client that got one wrong would otherwise never notice.
PROMPT_LIMIT = 30_000
SCHEMA_LIMIT = 64 * 1024
TAGS_LIMIT = 50


def _fits(schema: dict[str, Any] | None) -> dict[str, Any] | None:
    if len(json.dumps(schema, ensure_ascii=False).encode("utf-8", "replace")) > SCHEMA_LIMIT:
        raise ValueError("structured_output_schema must not exceed 64KB")
    return schema


Tags = Annotated[list[str], Field(max_length=TAGS_LIMIT)]


class CreateSession(BaseModel):
    """The fields of a create request on both versions; v3 adds `repos`, v1 `idempotent`."""

    prompt: str
    title: str | None = None
    tags: Tags | None = None
    playbook_id: str | None = None
    knowledge_ids: list[str] | None = None
    secret_ids: list[str] | None = None
    max_acu_limit: Annotated[int, Field(gt=0)] | None = None
    structured_output_schema: Annotated[dict[str, Any] | None, AfterValidator(_fits)] = None


class SendMessage(BaseModel):
    """A user's message."""

    message: str


class TagList(BaseModel):
    """A list of tags: all those of a session, or those to set or add."""

    tags: Tags


class WritePlaybook(BaseModel):
    """The fields of a playbook, for creating one or replacing an existing one."""

    title: str
    body: str
    macro: Annotated[str, Field(pattern=r"^![A-Za-z0-9_-]+$")] | None = None
