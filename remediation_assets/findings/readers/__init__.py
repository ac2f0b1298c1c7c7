"""The formats that scanners write. A reader is a module with two functions.

`recognizes(document)` says whether a parsed JSON document is of its format, `read(document)` gives
its findings as rows. A new format is such a module and a line in `READERS`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from . import github, osv, sarif, semgrep, snyk, trivy
from .row import Item


@dataclass(frozen=True)
class Reader:
    """A format by its name, and the functions of its module."""

    name: str
    recognizes: Callable[[Any], bool]
    read: Callable[[Any], Iterator[Item]]


READERS = (
    Reader("SARIF", sarif.recognizes, sarif.read),
    Reader("Semgrep JSON", semgrep.recognizes, semgrep.read),
    Reader("Trivy JSON", trivy.recognizes, trivy.read),
    Reader("Snyk JSON", snyk.recognizes, snyk.read),
    Reader("OSV-Scanner JSON", osv.recognizes, osv.read),
    Reader("GitHub alerts", github.recognizes, github.read),
)


def reader_for(document: Any) -> Reader | None:
    """Give the reader of a document's format; None where no reader knows it."""
    return next((reader for reader in READERS if reader.recognizes(document)), None)
