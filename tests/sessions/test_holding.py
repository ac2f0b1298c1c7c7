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
from remediation_assets.sessions.events import Timeline
from remediation_assets.sessions.holds import (
    lift_ended,
    lift_probed,
    postpone_probes,
    set_hold_for,
    standing_holds,
)
from tests.support.clock import NOON


def error(kind: type[DevinError], status: int, wait: float | None = None) -> DevinError:
    if issubclass(kind, RateLimited):
        return kind("POST", "/sessions", status, "words", wait)
    return kind("POST", "/sessions", status, "words")


def later(seconds: float) -> Timeline:
    return Timeline(NOON + timedelta(seconds=seconds))


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
        set_hold_for(tx, error(kind, status, wait), later(0), probe_minutes=5)
        [standing] = standing_holds(tx)
    assert standing.kind == hold
    assert standing.ends_at == (ends_after and NOON + timedelta(seconds=ends_after))
    assert standing.probe_at == (probed_after and NOON + timedelta(seconds=probed_after))
    assert "words" in standing.sentence


def test_rate_limits_without_a_wait_back_off(ledger: Ledger) -> None:
    waits, at = [], 0.0
    with ledger.transaction() as tx:
        for _ in range(7):
            lift_ended(tx, later(at))
            set_hold_for(tx, error(RateLimited, 429), later(at), probe_minutes=5)
            [hold] = standing_holds(tx)
            assert hold.ends_at is not None
            waits.append((hold.ends_at - hold.set_at).total_seconds())
            at += waits[-1]
    assert waits == [60, 120, 240, 480, 960, 1200, 1200]


def test_a_second_refusal_of_one_kind_changes_nothing(ledger: Ledger) -> None:
    with ledger.transaction() as tx:
        set_hold_for(tx, error(RateLimited, 429, 60), later(0), probe_minutes=5)
        before = standing_holds(tx)
        set_hold_for(tx, error(RateLimited, 429, 600), later(1), probe_minutes=5)
        assert standing_holds(tx) == before


def test_holds_of_two_kinds_stand_side_by_side(ledger: Ledger) -> None:
    with ledger.transaction() as tx:
        set_hold_for(tx, error(RateLimited, 429, 60), later(0), probe_minutes=5)
        set_hold_for(tx, error(QuotaExhausted, 402), later(0), probe_minutes=5)
        assert [hold.kind for hold in standing_holds(tx)] == ["rate_limit", "quota"]
        lift_probed(tx, later(1))
        assert [hold.kind for hold in standing_holds(tx)] == ["rate_limit"]


@pytest.mark.parametrize(("seconds", "admitted"), [(0, 0), (59.9, 0), (60, None), (600, None)])
def test_a_hold_with_an_end_admits_nothing_before_it(ledger: Ledger, seconds: float, admitted: int | None) -> None:
    with ledger.transaction() as tx:
        set_hold_for(tx, error(RateLimited, 429, 60), later(0), probe_minutes=5)
        [hold] = standing_holds(tx)
        assert hold.admits(later(seconds).now) == admitted
        lift_ended(tx, later(seconds))
        assert len(standing_holds(tx)) == (admitted == 0)


@pytest.mark.parametrize(("seconds", "admitted"), [(0, 0), (299, 0), (300, 1), (9000, 1)])
def test_a_hold_without_an_end_admits_one_probe_at_a_time(ledger: Ledger, seconds: float, admitted: int) -> None:
    with ledger.transaction() as tx:
        set_hold_for(tx, error(QuotaExhausted, 402), later(0), probe_minutes=5)
        now = later(seconds).now
        assert standing_holds(tx)[0].admits(now) == admitted
        postpone_probes(tx, now, 5, of_credentials=False)
        assert standing_holds(tx)[0].admits(now) == 0
        lift_ended(tx, later(90_000))
        assert len(standing_holds(tx)) == 1
