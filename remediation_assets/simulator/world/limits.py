"""The account's limits, which faults set: how many sessions it may have at once, and how many in all."""

import sqlite3

from .faults import Faults
from .rows import count_occupied_slots, count_sessions


class AccountRefuses(Exception):
    """The account may not have another session now; the text is what the API says."""


class TooManySessions(AccountRefuses):
    """As many sessions occupy a slot as the account may have at once."""


class OutOfQuota(AccountRefuses):
    """The account has created as many sessions as its quota pays for."""


def check_limits(store: sqlite3.Connection, org_id: str, faults: Faults, now: float) -> None:
    """Raise AccountRefuses if the account may not have another session."""
    cap, quota = faults.get("concurrency_cap"), faults.get("quota")
    # The cap first: an account at both limits answers 429.
    if cap and count_occupied_slots(store, org_id, now) >= cap.amount:
        raise TooManySessions(f"You exceeded your concurrent session limit of {cap.amount:g}")
    if quota and count_sessions(store, org_id) >= quota.amount:
        raise OutOfQuota("Your organization is out of quota")


def suspends_for_quota(store: sqlite3.Connection, org_id: str, faults: Faults, *, creating: int = 0) -> bool:
    """Whether the existing sessions and `creating` new ones exceed the quota, so that no session may work."""
    quota = faults.get("quota_suspends")
    return quota is not None and count_sessions(store, org_id) + creating > quota.amount
