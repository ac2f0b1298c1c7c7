"""Which files are meant: a file is itself, a folder every findings file in it."""

import os
from collections.abc import Sequence
from pathlib import Path

from .errors import FindingsFileError

_SUFFIXES = tuple(f".{kind}{packed}" for kind in ("csv", "tsv", "json", "jsonl", "sarif") for packed in ("", ".gz"))


def absolute(path: str | Path) -> Path:
    """Give a path as it is meant from wherever it is read later, its `~` put in."""
    return Path(os.path.expanduser(path)).absolute()


def findings_files(given: Sequence[Path]) -> list[Path]:
    """Give the files that some paths mean, each once, those of a folder by name; raises FindingsFileError for none."""
    found: dict[Path, None] = {}
    for path in given:
        if not path.is_dir():
            found[path] = None
            continue
        try:
            inside = sorted(file for file in path.iterdir() if file.name.lower().endswith(_SUFFIXES) and file.is_file())
        except OSError as error:
            raise FindingsFileError(f"{path} cannot be read ({error.strerror}); give a folder you may read.") from None
        if not inside:
            raise FindingsFileError(f"{path} has no findings file in it; expected {', '.join(_SUFFIXES)}.")
        found |= dict.fromkeys(inside)
    return list(found)
