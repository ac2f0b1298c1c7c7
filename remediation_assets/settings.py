"""Every environment variable that the package reads: name, type, default and meaning.

A value comes from the environment, or else from `.env` in the working directory; an empty variable counts as unset. No
other module takes a value from the environment. (`cli/dagster_runs.py` passes DAGSTER_HOME on to Dagster through it.)
"""

import json
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from remediation_assets.errors import RemediationError

_PACKAGE = Path(__file__).resolve().parent
_IS_CHECKOUT = (_PACKAGE.parent / "playbooks").is_dir()

CHECKOUT = _PACKAGE.parent if _IS_CHECKOUT else _PACKAGE
"""The folder of the playbooks, the sample data and Dagster's settings: the checkout, or the installed package."""

DEFAULT_HOME = CHECKOUT / "dagster_home" if _IS_CHECKOUT else Path.home() / ".remediation"
"""Dagster's home if DAGSTER_HOME is not set."""

USUAL_HOSTS = ("github.com", "gitlab.com", "bitbucket.org", "dev.azure.com")

LIVE_ORIGIN = "https://api.devin.ai"

CommaSeparated = Annotated[tuple[str, ...], NoDecode]


class SettingsError(RemediationError):
    """A setting that cannot be used; the message says which, why, and what to do."""


class Settings(BaseSettings):
    """The settings; each field is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        allow_inf_nan=False,
        frozen=True,
    )

    devin_api_key: SecretStr = Field(SecretStr(""), description="Devin API key; may be empty in mock mode.")
    devin_api_base_url: str = Field(
        f"{LIVE_ORIGIN}/v1", description="Address of the Devin API; a trailing /v1 or /v3 is ignored."
    )
    devin_api_version: Literal["", "v1", "v3"] = Field(
        "", description="v1 or v3. If empty, v1 for keys that begin with apk_, and v3 for others and in mock mode."
    )
    devin_org_id: str = Field("", description="Devin organisation; looked up through the API if empty.")
    devin_secret_ids: CommaSeparated = Field(
        (), description="Secrets of the organisation that a session may use, comma-separated; none by default."
    )
    devin_knowledge_ids: CommaSeparated = Field(
        (), description="Knowledge notes that a session may use, comma-separated; none by default."
    )
    mock_mode: bool = Field(True, description="Use the simulator instead of Devin.")
    # With 12 the sample shows everything: failures whose retries succeed, and gates that pass.
    mock_seed: int = Field(12, description="Random seed of the simulator.")
    mock_time_scale: float = Field(
        1.0, gt=0, description="How many times faster than real time the simulator's clock runs."
    )
    mock_faults: CommaSeparated = Field(
        (),
        description="Faults of the simulator, such as lost_answer=0.1; `remediate simulator --help` lists them.",
    )

    findings_path: str = Field(
        "", description="The findings file, or a folder of them; in mock mode the sample by default."
    )
    findings_repo_url: str = Field("", description="Repository of findings whose file does not name one.")
    findings_service: str = Field(
        "", description="Service of findings whose file does not name one; the repository's name if empty."
    )
    findings_root: str = Field(
        "", description="Folder in which the repository was scanned, for files with absolute paths."
    )
    findings_services: str = Field("", description="A TOML file that assigns services and repositories to paths.")
    findings_columns: str = Field(
        "", description="A TOML file that maps a CSV's columns; `remediate columns FILE` proposes one."
    )
    service_weights: Annotated[dict[str, float], NoDecode] = Field(
        {"payment-service": 20.0, "user-service": 15.0, "catalog-service": 10.0, "default": 10.0},
        description="Points for each service as a JSON object; `default` applies to all others.",
    )
    max_rejected_share: float = Field(
        0.5, ge=0, le=1, description="Share of rejected rows above which a file is refused."
    )
    allowed_repo_hosts: CommaSeparated = Field(
        (),
        description="Hosts of the repositories that sessions may work on, comma-separated; by default github.com, "
        "gitlab.com, bitbucket.org and dev.azure.com, in mock mode any.",
    )

    wave_size: int = Field(10, ge=1, description="Findings per wave.")
    min_success_rate: float = Field(0.7, ge=0, le=1, description="Success rate that a wave needs to pass its gate.")
    max_parallel_sessions: int = Field(10, ge=1, description="Limit on sessions without an outcome at any time.")
    max_acu_per_session: int = Field(5, ge=1, description="ACU limit sent with each session.")
    max_retries: int = Field(2, ge=0, description="Limit on further attempts at a finding within a round.")
    poll_interval_seconds: float = Field(20.0, gt=0, description="Seconds between two polls.")
    session_timeout_minutes: float = Field(90.0, gt=0, description="Minutes that a session may take.")
    blocked_confirm_seconds: float = Field(
        60.0, ge=0, description="Seconds that a session must stay blocked before it counts as failed."
    )
    create_settle_seconds: float | None = Field(
        None,
        ge=0,
        description="Seconds until a create request of unknown outcome may be sent again; 120 live, 5 in mock mode.",
    )
    release_sessions: Literal["when_needed", "always", "never"] = Field(
        "when_needed",
        description="When a successful session is terminated to free its slot: when_needed, always or never.",
    )
    hold_probe_minutes: float = Field(5.0, gt=0, description="Minutes between probes of a hold.")
    hold_wait_minutes: float = Field(
        10.0, ge=0, description="Minutes that a run waits during a hold whose end is not known."
    )

    remediation_data_dir: str = Field(
        "", description="Folder of the ledger and the results, absolute; `data/` in DAGSTER_HOME by default."
    )
    ledger_lock_timeout_seconds: float = Field(
        60.0, gt=0, description="Longest wait for the ledger's lock, in seconds."
    )
    publish_interval_seconds: float = Field(
        5.0, ge=0, description="Shortest time between two publications of results, in seconds."
    )
    slack_webhook_url: SecretStr = Field(
        SecretStr(""), description="Slack webhook for notifications of settled waves and holds; none are sent if empty."
    )
    state_file_path: str = Field(
        "",
        description="Path of a JSON file with all results, written at every publication; none if empty.",
    )

    dashboard_token: SecretStr = Field(
        SecretStr(""),
        description="Token that the dashboard requires of every visitor; needed if other machines can reach it.",
    )

    dagster_home: str = Field(
        "", description="Dagster's home, absolute; by default dagster_home in the checkout, else ~/.remediation."
    )

    @field_validator("devin_secret_ids", "devin_knowledge_ids", "allowed_repo_hosts", "mock_faults", mode="before")
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("dashboard_token")
    @classmethod
    def _is_hard_to_guess(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < 16:
            raise ValueError("expected at least 16 characters, such as `openssl rand -hex 16` makes")
        return value

    @field_validator("slack_webhook_url")
    @classmethod
    def _is_empty_or_http_url(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            cls._is_http_url(value.get_secret_value())
        return value

    @field_validator("devin_api_base_url")
    @classmethod
    def _is_http_url(cls, value: str) -> str:
        parts = urlsplit(value)
        # The message does not repeat the value, which may contain a password.
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("expected an http or https URL without user and password")
        if parts.netloc.rpartition("]")[2].count(":") and parts.port is None:
            raise ValueError("expected a number as the URL's port")
        return value

    @field_validator("remediation_data_dir")
    @classmethod
    def _is_absolute(cls, value: str) -> str:
        if value and not Path(os.path.expanduser(value)).is_absolute():
            raise ValueError(f"expected an absolute path, such as {Path(value).absolute()}")
        return value

    @field_validator("service_weights", mode="before")
    @classmethod
    def _read_json(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError('expected a JSON object such as {"payment-service": 20, "default": 10}') from None

    @field_validator("service_weights")
    @classmethod
    def _has_default_weight(cls, value: dict[str, float]) -> dict[str, float]:
        return {"default": 10.0, **value}

    @property
    def api_origin(self) -> str:
        """Return the API's base URL without a trailing slash or version."""
        return self.devin_api_base_url.rstrip("/").removesuffix("/v1").removesuffix("/v3").rstrip("/")

    @property
    def repo_hosts(self) -> tuple[str, ...]:
        """Return the hosts whose repositories may be dispatched; empty in mock mode, for any host."""
        return self.allowed_repo_hosts or (() if self.mock_mode else USUAL_HOSTS)

    @property
    def api_version(self) -> Literal["v1", "v3"]:
        """Return the version of the API: the one that is set, else the one that the key belongs to."""
        if self.devin_api_version:
            return self.devin_api_version
        is_old = self.devin_api_key.get_secret_value().startswith("apk_")
        return "v1" if is_old and not self.mock_mode else "v3"

    @property
    def simulates_in_process(self) -> bool:
        """Whether the simulator runs in this process: in mock mode, unless the base URL names another simulator."""
        return self.mock_mode and self.api_origin == LIVE_ORIGIN

    @property
    def settle_seconds(self) -> float:
        """Return the seconds to wait before a create request whose outcome is unknown is sent again."""
        if self.create_settle_seconds is not None:
            return self.create_settle_seconds
        return 5.0 if self.mock_mode else 120.0

    @property
    def home(self) -> Path:
        """Return Dagster's home: the one that is set, else the default."""
        return Path(os.path.expanduser(self.dagster_home)) if self.dagster_home else DEFAULT_HOME

    @property
    def data_dir(self) -> Path:
        """Return the folder of the ledger, the published results and the simulator's world."""
        if self.remediation_data_dir:
            return Path(os.path.expanduser(self.remediation_data_dir))
        return self.home.absolute() / "data"

    @property
    def shell_assignments(self) -> str:
        """Return what a command of ours needs before it in another shell, so that it works on the same ledger.

        That is nothing, or assignments such as `DAGSTER_HOME=/srv/remediation `, each followed by a blank.
        """
        variables = {}
        if self.home.absolute() != DEFAULT_HOME:
            variables["DAGSTER_HOME"] = str(self.home)
        if self.remediation_data_dir:
            variables["REMEDIATION_DATA_DIR"] = str(self.data_dir)
        return "".join(f"{name}={shlex.quote(value)} " for name, value in variables.items())

    @property
    def state_path(self) -> Path | None:
        """Return the path of the state file, relative to the data directory; None if none is to be written."""
        return self.data_dir / os.path.expanduser(self.state_file_path) if self.state_file_path else None


def load_settings() -> Settings:
    """Return the settings; raise SettingsError with one line for each that is wrong."""
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError("\n".join(_message(e) for e in error.errors())) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f".env cannot be read ({error}); make it readable and save it as UTF-8.") from None
    if not settings.mock_mode and not settings.devin_api_key.get_secret_value():
        raise SettingsError("MOCK_MODE is off and DEVIN_API_KEY is empty; set the key, or MOCK_MODE=true.")
    return settings


def _message(error: Mapping[str, Any]) -> str:
    """Return one sentence about a wrong setting, without the value if it is or may contain a secret."""
    name = str(error["loc"][0]).upper() if error["loc"] else "A setting"
    is_hidden = name in _SECRET or re.search("cog_|apk_|@", str(error.get("input")))
    shown = "" if is_hidden else f"={str(error.get('input'))[:80]!r}"
    reason = str(error["msg"]).removeprefix("Value error, ")
    return f"{name}{shown} cannot be used: {reason}; correct it in the environment or .env."


_SECRET = {"DEVIN_API_KEY", "SLACK_WEBHOOK_URL", "DASHBOARD_TOKEN", "A setting"}


def dagster_home_is_set() -> bool:
    """Whether Dagster keeps its records: without DAGSTER_HOME they last as long as the process."""
    return bool(os.environ.get("DAGSTER_HOME"))
