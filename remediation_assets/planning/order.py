"""Which findings are planned first. Pure functions.

Everything that decides about the order of findings beyond their rank belongs here: `waves.py` cuts each band in the
order of ranks, one band after the other, and no wave has findings of two bands. Nobody leaves the plan.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum
from typing import TypeVar

from remediation_assets.errors import RemediationError
from remediation_assets.escape import quoted
from remediation_assets.models import FindingCategory, Severity

Word = TypeVar("Word", bound=StrEnum)


class UnknownChoice(RemediationError):
    """A choice has a word that does not exist, or is two choices at once; the text says what is allowed."""


class Band(IntEnum):
    """A part of the plan with waves of its own; lower ones come first."""

    CHOSEN = 0
    OTHER = 1


@dataclass(frozen=True)
class Choice:
    """The findings that a person wants to be worked on first; an empty part chooses any."""

    services: tuple[str, ...] = ()
    categories: tuple[FindingCategory, ...] = ()
    severities: tuple[Severity, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is chosen; without a choice all findings are in one band."""
        return bool(self.services or self.categories or self.severities)

    @property
    def words(self) -> str:
        """Return the choice as people read it, such as `severity critical or high, service shop`."""
        parts = {"severity": self.severities, "category": self.categories, "service": self.services}
        # The names of services come from scanners.
        return ", ".join(f"{name} {' or '.join(map(quoted, values))}" for name, values in parts.items() if values)

    @classmethod
    def of(
        cls, services: Iterable[str] = (), categories: Iterable[str] = (), severities: Iterable[str] = ()
    ) -> "Choice":
        """Return the choice that a person wrote; raise UnknownChoice if a category or severity does not exist."""
        return cls(
            tuple(dict.fromkeys(name.strip() for name in services if name.strip())),
            _parse("category", FindingCategory, categories),
            _parse("severity", Severity, severities),
        )

    def to_text(self) -> str | None:
        """Return the choice as JSON, which the ledger keeps; None if nothing is chosen."""
        return json.dumps(asdict(self)) if self else None

    @classmethod
    def from_text(cls, text: str | None) -> "Choice":
        """Return the choice that was kept as JSON."""
        kept = json.loads(text) if text else {}
        return cls(
            tuple(kept.get("services", ())),
            tuple(FindingCategory(category) for category in kept.get("categories", ())),
            tuple(Severity(severity) for severity in kept.get("severities", ())),
        )


NO_CHOICE = Choice()


def requested_choice(
    services: Iterable[str], categories: Iterable[str], severities: Iterable[str], *, all_findings: bool
) -> Choice | None:
    """Return the choice that a person asks planning for; None if they ask for nothing, which keeps the last one.

    `all_findings` ends the choice. Raise UnknownChoice for an unknown word, and for `all_findings` beside a choice.
    """
    choice = Choice.of(services, categories, severities)
    if choice and all_findings:
        raise UnknownChoice(f"All findings and only those of {choice.words} cannot come first together; choose one.")
    return choice if choice or all_findings else None


@dataclass(frozen=True)
class Kind:
    """What the order of a finding depends on, beside its rank."""

    service_name: str
    category: FindingCategory
    severity: Severity


def band_of(kind: Kind, choice: Choice) -> Band:
    """Return the band of all findings of a kind."""
    is_chosen = (
        (not choice.services or kind.service_name in choice.services)
        and (not choice.categories or kind.category in choice.categories)
        and (not choice.severities or kind.severity in choice.severities)
    )
    return Band.CHOSEN if choice and is_chosen else Band.OTHER


def _parse(name: str, words: type[Word], texts: Iterable[str]) -> tuple[Word, ...]:
    allowed = {str(word): word for word in words}
    # Once each, in the order in which they were given.
    given = dict.fromkeys(text.strip().lower() for text in texts)
    for text in given:
        if text not in allowed:
            raise UnknownChoice(f"{quoted(repr(text))} is no {name}; choose from {', '.join(allowed)}.")
    return tuple(allowed[text] for text in given)
