"""The settings that decide how the engine works, without those that only locate files and services."""

from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr

from remediation_assets.settings import Settings


@dataclass(frozen=True)
class Policy:
    """How waves are run: limits, waits in seconds or minutes, and what each create request carries."""

    api_version: Literal["v1", "v3"]
    min_success_rate: float
    max_retries: int
    max_parallel_sessions: int
    max_acu_per_session: int
    release_sessions: Literal["when_needed", "always", "never"]
    secret_ids: tuple[str, ...]
    knowledge_ids: tuple[str, ...]
    poll_interval_seconds: float
    session_timeout_minutes: float
    blocked_confirm_seconds: float
    create_settle_seconds: float
    hold_probe_minutes: float
    hold_wait_minutes: float
    slack_webhook_url: SecretStr

    @classmethod
    def of(cls, settings: Settings) -> "Policy":
        """Return the policy that the settings define; values that they leave to the mode are filled in."""
        return cls(
            api_version=settings.api_version,
            min_success_rate=settings.min_success_rate,
            max_retries=settings.max_retries,
            max_parallel_sessions=settings.max_parallel_sessions,
            max_acu_per_session=settings.max_acu_per_session,
            release_sessions=settings.release_sessions,
            secret_ids=settings.devin_secret_ids,
            knowledge_ids=settings.devin_knowledge_ids,
            poll_interval_seconds=settings.poll_interval_seconds,
            session_timeout_minutes=settings.session_timeout_minutes,
            blocked_confirm_seconds=settings.blocked_confirm_seconds,
            create_settle_seconds=settings.settle_seconds,
            hold_probe_minutes=settings.hold_probe_minutes,
            hold_wait_minutes=settings.hold_wait_minutes,
            slack_webhook_url=settings.slack_webhook_url,
        )
