"""Holds: what sets one, how long it lasts, and what it lets through."""

from datetime import timedelta

import pytest

from remediation_assets.devin.errors import (
    ConcurrencyCap,
    DevinError,
    Forbidden,
    NotAuthorised,
    NotFound,
    QuotaExhausted,
    RateLimited,
)
from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Transaction
from remediation_assets.sessions.store.holds import (
    lift_ended,
    lift_probed,
    postpone_attempt_probes,
    set_hold_for,
    standing_holds,
)
from tests.support.clock import NOON


def error(kind: type[DevinError], status: int, wait: float | None = None) -> DevinError:
    if issubclass(kind, RateLimited):
        return kind("POST", "/sessions", status, "words", wait)
    return kind("POST", "/sessions", status, "words")


def at(tx: Transaction, seconds: float) -> Transaction:
    """Set the transaction's time to so long after noon."""
    tx.now = NOON + timedelta(seconds=seconds)
    return tx


@pytest.mark.parametrize(
    ("kind", "status", "wait", "hold", "ends_after", "probed_after"),
    [
        (RateLimited, 429, None, "rate_limit", 60, None),
        (RateLimited, 429, 17.0, "rate_limit", 17, None),
        (RateLimited, 429, 0.0, "rate_limit", 60, None),
        (ConcurrencyCap, 429, None, "concurrency", 60, None),
        (QuotaExhausted, 402, None, "quota", None, 300),
        (NotAuthorised, 401, None, "credentials", None, 300),
        (Forbidden, 403, None, "permission", None, 300),
        (NotFound, 404, None, "permission", None, 300),
    ],
)
def test_each_refusal_of_the_account_sets_its_hold(
    ledger: Ledger,
    kind: type[DevinError],
    status: int,
    wait: float | None,
    hold: str,
    ends_after: float | None,
    probed_after: float | None,
) -> None:
    with ledger.transaction() as tx:
        set_hold_for(at(tx, 0), error(kind, status, wait), probe_minutes=5)
        [standing] = standing_holds(tx)
    assert standing.kind == hold
    assert standing.ends_at == (ends_after and NOON + timedelta(seconds=ends_after))
    assert standing.probe_at == (probed_after and NOON + timedelta(seconds=probed_after))
    assert "words" in standing.sentence


def test_rate_limits_without_a_wait_back_off(ledger: Ledger) -> None:
    waits, seconds = [], 0.0
    with ledger.transaction() as tx:
        for _ in range(7):
            lift_ended(at(tx, seconds))
            set_hold_for(at(tx, seconds), error(RateLimited, 429), probe_minutes=5)
            [hold] = standing_holds(tx)
            assert hold.ends_at is not None
            waits.append((hold.ends_at - hold.set_at).total_seconds())
            seconds += waits[-1]
    assert waits == [60, 120, 240, 480, 960, 1200, 1200]


def test_a_second_refusal_of_one_kind_changes_nothing(ledger: Ledger) -> None:
    with ledger.transaction() as tx:
        set_hold_for(at(tx, 0), error(RateLimited, 429, 60), probe_minutes=5)
        before = standing_holds(tx)
        set_hold_for(at(tx, 1), error(RateLimited, 429, 600), probe_minutes=5)
        assert standing_holds(tx) == before


def test_holds_of_two_kinds_stand_side_by_side(ledger: Ledger) -> None:
    with ledger.transaction() as tx:
        set_hold_for(at(tx, 0), error(RateLimited, 429, 60), probe_minutes=5)
        set_hold_for(at(tx, 0), error(QuotaExhausted, 402), probe_minutes=5)
        assert [hold.kind for hold in standing_holds(tx)] == ["rate_limit", "quota"]
        lift_probed(at(tx, 1))
        assert [hold.kind for hold in standing_holds(tx)] == ["rate_limit"]


@pytest.mark.parametrize(("seconds", "admitted"), [(0, 0), (59.9, 0), (60, None), (600, None)])
def test_a_hold_with_an_end_admits_nothing_before_it(ledger: Ledger, seconds: float, admitted: int | None) -> None:
    with ledger.transaction() as tx:
        set_hold_for(at(tx, 0), error(RateLimited, 429, 60), probe_minutes=5)
        [hold] = standing_holds(tx)
        assert hold.admits(at(tx, seconds).now) == admitted
        lift_ended(at(tx, seconds))
        assert len(standing_holds(tx)) == (admitted == 0)


@pytest.mark.parametrize(("seconds", "admitted"), [(0, 0), (299, 0), (300, 1), (9000, 1)])
def test_a_hold_without_an_end_admits_one_probe_at_a_time(ledger: Ledger, seconds: float, admitted: int) -> None:
    with ledger.transaction() as tx:
        set_hold_for(at(tx, 0), error(QuotaExhausted, 402), probe_minutes=5)
        now = at(tx, seconds).now
        assert standing_holds(tx)[0].admits(now) == admitted
        postpone_attempt_probes(tx, 5)
        assert standing_holds(tx)[0].admits(now) == 0
        lift_ended(at(tx, 90_000))
        assert len(standing_holds(tx)) == 1
