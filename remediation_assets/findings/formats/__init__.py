"""The formats that scanners write, a module for each.

A format module has two functions. `recognizes(document)` returns whether a parsed JSON document has the format, and
`read(document)` yields the items of such a document, as `row` describes them. A new format is such a module and a line
in `FORMATS`. CSV with other columns is not recognized but mapped: see `mapped_csv`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from . import github, osv, sarif, semgrep, snyk, trivy
from .row import Item


@dataclass(frozen=True)
class Format:
    """A format: its name for people, and the functions of its module."""

    name: str
    recognizes: Callable[[Any], bool]
    read: Callable[[Any], Iterator[Item]]


# None recognizes a document of another, which a test checks, so the order decides nothing.
FORMATS = (
    Format("SARIF", sarif.recognizes, sarif.read),
    Format("Semgrep JSON", semgrep.recognizes, semgrep.read),
    Format("Trivy JSON", trivy.recognizes, trivy.read),
    Format("Snyk JSON", snyk.recognizes, snyk.read),
    Format("OSV-Scanner JSON", osv.recognizes, osv.read),
    Format("GitHub alerts", github.recognizes, github.read),
)


def format_of(document: Any) -> Format | None:
    """Return the format of a parsed JSON document, or None if no format recognizes it."""
    return next((one for one in FORMATS if one.recognizes(document)), None)
