"""What can go wrong on demand, by name.

A fault is written NAME=AMOUNT or NAME=AMOUNT/SECONDS. Its seconds are of the wall clock: they are the
wire's, not those of a session's life, which `MOCK_TIME_SCALE` speeds up.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Self

from remediation_assets.errors import RemediationError

from .chance import chances, pick


class FaultUnusable(RemediationError):
    """A fault that does not exist, or not with this amount."""


class Amount(StrEnum):
    """What the number behind a fault's name means."""

    SHARE_OF_POSTS = "share of the creations"
    SHARE_OF_SESSIONS = "share of the sessions"
    COUNT = "count"
    SECONDS = "seconds"


@dataclass(frozen=True)
class Kind:
    """A fault that exists; `seconds` is its second number where it has one and none is given."""

    name: str
    amount: Amount
    meaning: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Fault:
    """A fault that was asked for."""

    name: str
    amount: float
    seconds: float

    def strikes(self, age: float) -> bool:
        """Whether a fault that comes back every `seconds` is there in a world of this age in seconds."""
        return age % self.seconds < self.amount

    def __str__(self) -> str:
        """Write it as it may be given."""
        return f"{self.name}={_number(self.amount)}" + (f"/{_number(self.seconds)}" if self.seconds else "")


_POSTS, _SESSIONS = Amount.SHARE_OF_POSTS, Amount.SHARE_OF_SESSIONS
KINDS = {
    kind.name: kind
    for kind in (
        Kind("rate_limit", _POSTS, "429 that tells no wait"),
        Kind("rate_limit_told", _POSTS, "429 with Retry-After", 2.0),
        Kind("server_error", _POSTS, "503, and nothing is made"),
        Kind("lost_answer", _POSTS, "the session is made, its answer breaks off"),
        Kind("late", _POSTS, "the session is made this much later, also where nobody waits any more", 3.0),
        Kind("concurrency_cap", Amount.COUNT, "429 to creations beyond so many sessions not ended or archived"),
        Kind("quota", Amount.COUNT, "402 to creations after so many"),
        Kind("quota_suspends", Amount.COUNT, "the creation after so many suspends itself and all that work"),
        Kind("outage", Amount.SECONDS, "502 to everything for so long, once in every period", 60.0),
        Kind("malformed", Amount.SECONDS, "HTML for an answer for so long, in the second half of every period", 60.0),
        Kind("slow", Amount.SECONDS, "every answer comes so much later"),
        Kind("list_lag", Amount.SECONDS, "lists show a session only so long after its creation"),
        Kind("error", _SESSIONS, "ends in an error while testing"),
        Kind("unknown_words", _SESSIONS, "works under status words nobody has seen"),
        Kind("pr_first", _SESSIONS, "shows its pull request and works on"),
        Kind("no_output", _SESSIONS, "never has structured output"),
        Kind("invalid_output", _SESSIONS, "has structured output that does not fit its schema"),
        Kind("gone", _SESSIONS, "is not found any more from the time when it would fix"),
    )
}


class Faults:
    """The faults of a world, each once."""

    def __init__(self, asked: Iterable[str] = ()) -> None:
        """Read faults as people write them; raises FaultUnusable."""
        self._faults = {fault.name: fault for fault in map(_read, asked)}
        for amount in (_POSTS, _SESSIONS):
            if sum(self._shares(amount).values()) > 1 + 1e-9:
                raise FaultUnusable(f"The shares of {', '.join(self._shares(amount))} are more than 1 in all.")

    @classmethod
    @cache
    def read(cls, written: str) -> Self:
        """Read what `str` wrote, or what a setting says: faults with commas between them."""
        return cls(part for part in written.split(",") if part.strip())

    def __str__(self) -> str:
        """Write them in one order, whatever the order in which they were given."""
        return ",".join(str(fault) for fault in self)

    def __iter__(self) -> Iterator[Fault]:
        """Go through them by name."""
        return iter(sorted(self._faults.values(), key=lambda fault: fault.name))

    def get(self, name: str) -> Fault | None:
        """Give the fault of this name, if it was asked for."""
        return self._faults.get(name)

    def of_post(self, seed: int, subject: str, number: int) -> Fault | None:
        """Draw the fault of the `number`th creation for a subject."""
        name = pick(self._shares(_POSTS), next(chances(f"{seed}:{subject}:post {number}")))
        return self._faults[name] if name else None

    def scenario(self, chance: float) -> str | None:
        """Draw what becomes of a session besides its usual course."""
        return pick(self._shares(_SESSIONS), chance)

    @property
    def meet_posts(self) -> bool:
        """Say whether creations have to be counted."""
        return bool(self._shares(_POSTS))

    def _shares(self, amount: Amount) -> dict[str, float]:
        return {fault.name: fault.amount for fault in self if KINDS[fault.name].amount is amount}


def _number(value: float) -> str:
    # Whole, for a share that is rounded up could make too many of what was just enough.
    return repr(value).removesuffix(".0")


def _read(written: str) -> Fault:
    name, _, rest = written.strip().partition("=")
    first, _, second = rest.partition("/")
    kind = KINDS.get(name)
    if kind is None:
        raise FaultUnusable(f"There is no fault {name!r}; there are {', '.join(KINDS)}.")
    try:
        amount, seconds = float(first), float(second) if second else kind.seconds
    except ValueError:
        raise FaultUnusable(f"{written!r} is no fault; write {name}=AMOUNT, with {kind.amount} as a number.") from None
    most = 1.0 if kind.amount in (_POSTS, _SESSIONS) else 1e9
    if not 0 <= amount <= most or (not 0 < seconds <= 1e9 if kind.seconds else second):
        takes = f"a {kind.amount} from 0 to 1" if most == 1.0 else f"{kind.amount} from 0 on"
        raise FaultUnusable(f"{written!r} cannot be; {name} takes {takes}" + (" and seconds." if kind.seconds else "."))
    return Fault(name, amount, seconds)
