"""`.env.example` is the list of settings that people see."""

import re
from pathlib import Path

import pytest

from remediation_assets.settings import CHECKOUT, Settings


def test_the_example_names_every_setting_with_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    example = (CHECKOUT / ".env.example").read_text()
    lines = re.findall(r"^# ([A-Z_]+=.*)$", example, flags=re.MULTILINE)
    uncommented = tmp_path / ".env"
    uncommented.write_text("\n".join(lines))
    assert {line.split("=")[0].lower() for line in lines} == set(Settings.model_fields)
    assert Settings(_env_file=uncommented) == Settings(_env_file=None)
