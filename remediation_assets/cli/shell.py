"""Commands as they can be typed in the shell that a person sits at: the program's path, the home, the file.

Messages of the rooms below name commands without knowing the shell, such as `remediate run FILE`; here they are
completed, so that whoever copies one gets what it promises.
"""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from remediation_assets.findings.intake.scan import last_request
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.settings import CHECKOUT, DEFAULT_HOME, Settings

_OURS = re.compile(r"`remediate (?P<rest>[^`]*)`")


def completed(text: str, settings: Settings, file: str | None = None) -> str:
    """Return a text with our commands completed, and with `file`, if it is given, in place of FILE."""

    def complete(found: re.Match[str]) -> str:
        rest = found["rest"]
        if file:
            # A name that begins like an option is none if it begins with the folder.
            name = shlex.quote(f"./{file}" if file.startswith("-") else file)
            rest = re.sub(r"\bFILE\b", lambda _: name, rest)
        return f"`{remediate(rest, settings)}`"

    return _OURS.sub(complete, text)


def remediate(rest: str, settings: Settings) -> str:
    """Return a command of ours with the environment and the path that it needs in this shell."""
    return f"{settings.shell_assignments}{program('remediate')} {rest}"


def program(name: str) -> str:
    """Return how a program of our environment is called here: by its name if that finds it, else by its path."""
    own = Path(sys.executable).with_name(name)
    found = shutil.which(name)
    if found and Path(found).resolve() == own.resolve():
        return name
    return shlex.quote(_relative(own)) if own.exists() else name


def dagster_ui(settings: Settings) -> str:
    """Return the command that serves the Dagster UI with the runs of this home."""
    if (CHECKOUT / "Makefile").exists():
        elsewhere = "" if Path.cwd() == CHECKOUT else f" -C {shlex.quote(str(CHECKOUT))}"
        return f"{settings.shell_assignments}make{elsewhere} dev"
    # Dagster has no default home, unlike `remediate`.
    home = f"DAGSTER_HOME={shlex.quote(str(settings.home))} " if settings.home == DEFAULT_HOME else ""
    return f"{home}{settings.shell_assignments}{program('dagster')} dev -m remediation_assets.definitions"


def activation() -> str | None:
    """Return the command that puts our programs on the PATH, None if they are on it."""
    script = Path(sys.executable).with_name("activate")
    if program("remediate") == "remediate" or not script.exists():
        return None
    return f"source {shlex.quote(_relative(script))}"


def file_of(ledger: Ledger) -> str | None:
    """Return the findings file that the ledger was planned from, None unless there is exactly one."""
    if not ledger.published_path.exists():
        return None
    with ledger.published() as reader:
        last = last_request(reader)
    return _relative(last.paths[0]) if last and len(last.paths) == 1 else None


def _relative(path: Path) -> str:
    """Return a path as short as it can be typed: relative if it is below the working directory."""
    inside = os.path.relpath(path)
    return str(path) if inside.startswith("..") else inside
