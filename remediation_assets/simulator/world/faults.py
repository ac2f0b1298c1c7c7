"""The faults that can be set, by name: how they are written, and when they are drawn.

A fault is written NAME=AMOUNT or NAME=AMOUNT/SECONDS. The seconds are those of the wall clock, because
faults happen on the wire; `MOCK_TIME_SCALE` speeds up only the life of a session.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Self

from remediation_assets.errors import RemediationError

from .chance import chances, pick


class FaultUnusable(RemediationError):
    """A fault that does not exist, or cannot have this amount."""


class Amount(StrEnum):
    """What the number after a fault's name means."""

    SHARE_OF_POSTS = "share of the create requests"
    SHARE_OF_SESSIONS = "share of the sessions"
    COUNT = "count"
    SECONDS = "seconds"


@dataclass(frozen=True)
class Kind:
    """A fault that can be set; `seconds` is the default of its second number, 0 if it has none."""

    name: str
    amount: Amount
    meaning: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Fault:
    """A fault that is set."""

    name: str
    amount: float
    seconds: float

    def strikes(self, age: float) -> bool:
        """Whether a fault that recurs every `seconds` and lasts `amount` seconds strikes at this age of the world."""
        return age % self.seconds < self.amount

    def __str__(self) -> str:
        """Return the fault as people write it."""
        return f"{self.name}={_number(self.amount)}" + (f"/{_number(self.seconds)}" if self.seconds else "")


# Shares of one kind are stretches of one range from 0 to 1 in alphabetical order, and one draw decides among
# them. So another name or order here changes what seeds draw.
_POSTS, _SESSIONS = Amount.SHARE_OF_POSTS, Amount.SHARE_OF_SESSIONS
KINDS = {
    kind.name: kind
    for kind in (
        Kind("rate_limit", _POSTS, "429 without a wait"),
        Kind("rate_limit_told", _POSTS, "429 with Retry-After", 2.0),
        Kind("server_error", _POSTS, "503, and no session is created"),
        Kind("lost_answer", _POSTS, "the session is created, but its answer breaks off"),
        Kind("late", _POSTS, "the session is created this much later, even if the client has given up", 3.0),
        Kind(
            "concurrency_cap",
            Amount.COUNT,
            "429 to create requests while this many sessions are neither ended nor archived",
        ),
        Kind("quota", Amount.COUNT, "402 to create requests once this many sessions exist"),
        Kind(
            "quota_suspends",
            Amount.COUNT,
            "the session created after this many is suspended at once, with all that are at work",
        ),
        Kind("outage", Amount.SECONDS, "502 to everything for this long, once in every period", 60.0),
        Kind("malformed", Amount.SECONDS, "HTML as the answer for this long, in the second half of every period", 60.0),
        Kind("slow", Amount.SECONDS, "every answer comes this much later"),
        Kind("list_lag", Amount.SECONDS, "lists show a session only this long after its creation"),
        Kind("error", _SESSIONS, "ends in an error while testing"),
        Kind("unknown_words", _SESSIONS, "works under unknown status words"),
        Kind("pr_first", _SESSIONS, "shows its pull request and works on"),
        Kind("no_output", _SESSIONS, "never has structured output"),
        Kind("invalid_output", _SESSIONS, "has structured output that does not fit its schema"),
        Kind("gone", _SESSIONS, "is no longer found from the fixing stage on"),
    )
}


class Faults:
    """The faults that are set in a world, each once."""

    def __init__(self, written: Iterable[str] = ()) -> None:
        """Read faults as people write them, or raise FaultUnusable; if a name is repeated, the last one counts."""
        self._faults = {fault.name: fault for fault in map(_read, written)}
        for amount in (_POSTS, _SESSIONS):
            # With room for rounding: 0.05 + 0.05 + 0.1 + 0.8 is a little more than 1.
            if sum(self._shares(amount).values()) > 1 + 1e-9:
                raise FaultUnusable(f"The shares of {', '.join(self._shares(amount))} add up to more than 1.")

    @classmethod
    @cache
    def read(cls, written: str) -> Self:
        """Read faults separated by commas, as `str` and the setting write them."""
        return cls(part for part in written.split(",") if part.strip())

    def __str__(self) -> str:
        """Return the faults separated by commas, in an order that does not depend on how they were given."""
        return ",".join(str(fault) for fault in self)

    def __iter__(self) -> Iterator[Fault]:
        """Iterate over the faults in the order of their names."""
        return iter(sorted(self._faults.values(), key=lambda fault: fault.name))

    def get(self, name: str) -> Fault | None:
        """Return the fault of this name, or None if it is not set."""
        return self._faults.get(name)

    def of_post(self, seed: int, subject: str, number: int) -> Fault | None:
        """Draw the fault that a subject's create request number `number` meets, None for no fault; the first is 1."""
        # By number: with the same draw each time, a request that met a fault could never succeed.
        name = pick(self._shares(_POSTS), next(chances(f"{seed}:{subject}:post {number}")))
        return self._faults[name] if name else None

    def scenario(self, chance: float) -> str | None:
        """Return the fault that changes a session's course, for a number drawn from 0 to 1."""
        return pick(self._shares(_SESSIONS), chance)

    @property
    def meet_posts(self) -> bool:
        """Whether any of the faults can meet create requests, which must then be counted."""
        return bool(self._shares(_POSTS))

    def _shares(self, amount: Amount) -> dict[str, float]:
        return {fault.name: fault.amount for fault in self if KINDS[fault.name].amount is amount}


def _number(value: float) -> str:
    # With all digits: shares that add up to 1 could add up to more if they were rounded.
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
        raise FaultUnusable(f"{written!r} is not a fault; write {name}=AMOUNT, a number ({kind.amount}).") from None
    most = 1.0 if kind.amount in (_POSTS, _SESSIONS) else 1e9
    if not 0 <= amount <= most or (not 0 < seconds <= 1e9 if kind.seconds else second):
        form = f"{name}=AMOUNT/SECONDS" if kind.seconds else f"{name}=AMOUNT"
        lowest = "from 0 to 1" if most == 1.0 else "of 0 or more"
        raise FaultUnusable(f"{written!r} cannot be set; write {form} with an amount {lowest} ({kind.amount}).")
    return Fault(name, amount, seconds)
