"""Settings: where values come from, the defaults, and the messages about bad values."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from remediation_assets.settings import CHECKOUT, Settings, SettingsError, dagster_home_is_set, load_settings

SECRET = "cog_canary-0123456789"

# Every variable, a text that it may have, and the value that the text stands for.
VARIABLES: dict[str, tuple[str, Any]] = {
    "DEVIN_API_KEY": (SECRET, SecretStr(SECRET)),
    "DEVIN_API_BASE_URL": ("http://localhost:9000/v3", "http://localhost:9000/v3"),
    "DEVIN_ORG_ID": ("org-1", "org-1"),
    "DEVIN_SECRET_IDS": ("a, b,,c ", ("a", "b", "c")),
    "DEVIN_KNOWLEDGE_IDS": ("a", ("a",)),
    "DEVIN_API_VERSION": ("v1", "v1"),
    "MOCK_MODE": ("false", False),
    "MOCK_SEED": ("42", 42),
    "MOCK_TIME_SCALE": ("15", 15.0),
    "MOCK_FAULTS": ("late=0.1/3, slow=1", ("late=0.1/3", "slow=1")),
    "DASHBOARD_TOKEN": ("0123456789abcdef", SecretStr("0123456789abcdef")),
    "FINDINGS_PATH": ("findings.csv", "findings.csv"),
    "FINDINGS_REPO_URL": ("https://github.com/acme/shop", "https://github.com/acme/shop"),
    "FINDINGS_SERVICE": ("shop", "shop"),
    "FINDINGS_ROOT": ("/home/ci/shop", "/home/ci/shop"),
    "FINDINGS_SERVICES": ("services.toml", "services.toml"),
    "FINDINGS_COLUMNS": ("columns.toml", "columns.toml"),
    "SERVICE_WEIGHTS": ('{"shop": 7.5}', {"default": 10.0, "shop": 7.5}),
    "MAX_REJECTED_SHARE": ("0.1", 0.1),
    "ALLOWED_REPO_HOSTS": ("github.com,git.corp.io", ("github.com", "git.corp.io")),
    "WAVE_SIZE": ("5", 5),
    "MIN_SUCCESS_RATE": ("1.0", 1.0),
    "MAX_PARALLEL_SESSIONS": ("3", 3),
    "MAX_ACU_PER_SESSION": ("7", 7),
    "MAX_RETRIES": ("0", 0),
    "POLL_INTERVAL_SECONDS": ("0.5", 0.5),
    "SESSION_TIMEOUT_MINUTES": ("30", 30.0),
    "BLOCKED_CONFIRM_SECONDS": ("1", 1.0),
    "CREATE_SETTLE_SECONDS": ("7", 7.0),
    "RELEASE_SESSIONS": ("never", "never"),
    "HOLD_PROBE_MINUTES": ("2", 2.0),
    "HOLD_WAIT_MINUTES": ("0", 0.0),
    "REMEDIATION_DATA_DIR": ("/srv/data", "/srv/data"),
    "LEDGER_LOCK_TIMEOUT_SECONDS": ("9", 9.0),
    "PUBLISH_INTERVAL_SECONDS": ("0", 0.0),
    "SLACK_WEBHOOK_URL": ("https://hooks.example/x", SecretStr("https://hooks.example/x")),
    "STATE_FILE_PATH": ("state.json", "state.json"),
    "DAGSTER_HOME": ("/srv/dagster", "/srv/dagster"),
}

BAD = [
    ("WAVE_SIZE", "0"),
    ("WAVE_SIZE", "many"),
    ("WAVE_SIZE", "2.5"),
    ("MIN_SUCCESS_RATE", "1.01"),
    ("MIN_SUCCESS_RATE", "70%"),
    ("MAX_PARALLEL_SESSIONS", "0"),
    ("MAX_RETRIES", "-1"),
    ("MAX_REJECTED_SHARE", "2"),
    ("MOCK_MODE", "perhaps"),
    ("DEVIN_API_VERSION", "v2"),
    ("MOCK_TIME_SCALE", "0"),
    ("POLL_INTERVAL_SECONDS", "0"),
    ("SESSION_TIMEOUT_MINUTES", "-5"),
    ("DEVIN_API_BASE_URL", "api.devin.ai"),
    ("DEVIN_API_BASE_URL", "ftp://api.devin.ai"),
    ("DEVIN_API_BASE_URL", "https://"),
    ("SERVICE_WEIGHTS", "not json"),
    ("SERVICE_WEIGHTS", '["shop"]'),
    ("SERVICE_WEIGHTS", '{"shop": "much"}'),
]


def test_everything_has_a_default() -> None:
    settings = load_settings()
    assert settings.mock_mode
    assert settings.devin_api_key.get_secret_value() == ""
    assert settings.api_origin == "https://api.devin.ai"
    assert (settings.max_parallel_sessions, settings.max_acu_per_session, settings.wave_size) == (10, 5, 10)
    assert (settings.poll_interval_seconds, settings.session_timeout_minutes) == (20, 90)
    assert (settings.min_success_rate, settings.max_retries) == (0.7, 2)
    assert (settings.ledger_lock_timeout_seconds, settings.publish_interval_seconds) == (60, 5)
    assert (settings.blocked_confirm_seconds, settings.hold_probe_minutes, settings.hold_wait_minutes) == (60, 5, 10)
    assert settings.state_file_path == ""


def test_the_table_of_this_test_names_every_setting() -> None:
    assert {name.upper() for name in Settings.model_fields} == set(VARIABLES)


@pytest.mark.parametrize(("name", "text", "value"), [(name, *pair) for name, pair in VARIABLES.items()])
def test_each_variable_of_the_environment_is_a_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: Any
) -> None:
    assert getattr(load_settings(), name.lower()) != value
    monkeypatch.setenv(name, text)
    if name == "MOCK_MODE":
        monkeypatch.setenv("DEVIN_API_KEY", SECRET)
    assert getattr(load_settings(), name.lower()) == value


@pytest.mark.parametrize("name", VARIABLES)
def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    default = getattr(load_settings(), name.lower())
    monkeypatch.setenv(name, "")
    assert getattr(load_settings(), name.lower()) == default


def test_the_env_file_of_the_working_directory_is_read_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("WAVE_SIZE=3\nMAX_RETRIES=1\nSOMEBODY_ELSES=1\n", encoding="utf-8")
    monkeypatch.setenv("MAX_RETRIES", "0")
    settings = load_settings()
    assert (settings.wave_size, settings.max_retries) == (3, 0)


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_bad_value_is_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)
    monkeypatch.setenv("DEVIN_API_KEY", SECRET)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert name in message
    assert message.endswith(".")
    assert "\n" not in message
    assert SECRET not in message
    assert "validation error" not in message


def test_several_bad_values_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAVE_SIZE", "0")
    monkeypatch.setenv("MOCK_SEED", "x")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert [line.split("=")[0] for line in str(caught.value).splitlines()] == ["MOCK_SEED", "WAVE_SIZE"]


def test_live_mode_requires_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCK_MODE", "false")
    with pytest.raises(SettingsError, match="MOCK_MODE is off and DEVIN_API_KEY is empty; set the key"):
        load_settings()
    monkeypatch.setenv("DEVIN_API_KEY", SECRET)
    assert not load_settings().mock_mode


@pytest.mark.parametrize(
    ("name", "value"),
    [("DEVIN_API_KEY", SECRET), ("SLACK_WEBHOOK_URL", f"https://hooks.example.com/services/{SECRET}")],
)
def test_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    settings = load_settings()
    assert getattr(settings, name.lower()).get_secret_value() == value
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize(
    "value", [f"services/{SECRET}", f"ftp://hooks.example.com/{SECRET}", f"https://{SECRET}@x.example"]
)
def test_a_webhook_that_is_no_url_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SLACK_WEBHOOK_URL", value)
    with pytest.raises(
        SettingsError, match="SLACK_WEBHOOK_URL cannot be used: expected an http or https URL"
    ) as caught:
        load_settings()
    assert SECRET not in str(caught.value)


def test_settings_do_not_change() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.wave_size = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.devin.ai/v1", "https://api.devin.ai"),
        ("https://api.devin.ai/v3", "https://api.devin.ai"),
        ("https://api.devin.ai/v3/", "https://api.devin.ai"),
        ("https://api.devin.ai", "https://api.devin.ai"),
        ("https://api.devin.ai/", "https://api.devin.ai"),
        ("http://localhost:9000/devin/v1", "http://localhost:9000/devin"),
        ("http://localhost:9000/v2", "http://localhost:9000/v2"),
    ],
)
def test_the_origin_has_no_version(monkeypatch: pytest.MonkeyPatch, url: str, origin: str) -> None:
    monkeypatch.setenv("DEVIN_API_BASE_URL", url)
    assert load_settings().api_origin == origin


@pytest.mark.parametrize(
    ("mock", "url", "in_process"),
    [
        (True, None, True),
        (True, "https://api.devin.ai/v3", True),
        (True, "http://localhost:9000", False),
        (False, None, False),
        (False, "http://localhost:9000", False),
    ],
)
def test_the_simulator_runs_in_process_in_mock_mode_without_an_address(
    mock: bool, url: str | None, in_process: bool
) -> None:
    changes: dict[str, Any] = {"devin_api_base_url": url} if url else {}
    settings = Settings(_env_file=None, mock_mode=mock, **changes)
    assert settings.simulates_in_process is in_process


@pytest.mark.parametrize(
    ("mock", "setting", "seconds"), [(True, None, 5), (False, None, 120), (False, 7.0, 7), (True, 0.0, 0)]
)
def test_a_create_request_of_unknown_outcome_waits_longer_live(
    mock: bool, setting: float | None, seconds: float
) -> None:
    assert Settings(_env_file=None, mock_mode=mock, create_settle_seconds=setting).settle_seconds == seconds


@pytest.mark.parametrize(
    ("setting", "home", "folder"),
    [
        ("/srv/data", "/srv/dagster", Path("/srv/data")),
        ("", "/srv/dagster", Path("/srv/dagster/data")),
        ("", "", CHECKOUT / "dagster_home" / "data"),
        ("~/data", "", Path.home() / "data"),
    ],
)
def test_the_data_directory_is_the_one_set_or_in_dagsters_home(setting: str, home: str, folder: Path) -> None:
    assert Settings(_env_file=None, remediation_data_dir=setting, dagster_home=home).data_dir == folder


def test_a_relative_data_directory_is_refused_as_each_working_directory_would_get_a_ledger(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REMEDIATION_DATA_DIR", "data")
    with pytest.raises(SettingsError, match=f"expected an absolute path, such as {tmp_path / 'data'}"):
        load_settings()


def test_whether_dagster_keeps_its_records_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not dagster_home_is_set()
    monkeypatch.setenv("DAGSTER_HOME", "/srv/dagster")
    assert dagster_home_is_set()


@pytest.mark.parametrize(
    ("key", "mock", "setting", "version"),
    [
        ("cog_0123456789", False, "", "v3"),
        ("apk_user_0123456789", False, "", "v1"),
        ("apk_0123456789", False, "", "v1"),
        ("0123456789", False, "", "v3"),
        ("apk_0123456789", True, "", "v3"),
        ("", True, "", "v3"),
        ("", True, "v1", "v1"),
        ("cog_0123456789", False, "v1", "v1"),
        ("apk_0123456789", False, "v3", "v3"),
    ],
)
def test_the_keys_prefix_decides_the_version_if_none_is_set(key: str, mock: bool, setting: Any, version: str) -> None:
    settings = Settings(_env_file=None, devin_api_key=SecretStr(key), mock_mode=mock, devin_api_version=setting)
    assert settings.api_version == version
