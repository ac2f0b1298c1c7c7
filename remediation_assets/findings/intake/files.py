"""Find the files to read: a path of a file is that file, a path of a folder every findings file in it.

What is in the files does not matter here.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from remediation_assets.findings.errors import FindingsFileError

_SUFFIXES = tuple(f".{kind}{packed}" for kind in ("csv", "tsv", "json", "jsonl", "sarif") for packed in ("", ".gz"))


def absolute(path: str | Path) -> Path:
    """Return a path as an absolute one with `~` expanded, so that it means the same in every process."""
    return Path(os.path.expanduser(path)).absolute()


def findings_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files, each once and those of a folder sorted by name.

    Raise FindingsFileError if a folder has none or cannot be read.
    """
    # A dict, because it keeps the order of the paths and each file once.
    found: dict[Path, None] = {}
    for path in paths:
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
