"""Cutting ranked findings into waves, and what planning again may change."""

from collections.abc import Iterator

import pytest

from remediation_assets.ledger.ledger import Ledger
from remediation_assets.ledger.transaction import Transaction
from remediation_assets.planning.waves import Plan, plan_waves, wave_name
from tests.support.clock import NOON


@pytest.fixture
def tx(ledger: Ledger) -> Iterator[Transaction]:
    with ledger.transaction() as tx:
        yield tx


def rank(tx: Transaction, *keys: str) -> None:
    """Rank these findings, best first, instead of those ranked before."""
    tx.execute("DELETE FROM finding_scores")
    for number, key in enumerate(keys, 1):
        tx.execute("INSERT INTO finding_scores VALUES (?, 50.0, ?)", [key, number])


def cut(tx: Transaction, size: int) -> Plan:
    return plan_waves(tx, wave_size=size, now=NOON)


def freeze(tx: Transaction, *waves: str) -> None:
    tx.execute("UPDATE waves SET frozen_at = ? WHERE list_contains(?, wave)", [NOON, list(waves)])


def members(tx: Transaction) -> dict[str, str]:
    """Return the findings of each wave, in the order of their positions."""
    found = tx.execute(
        """
        SELECT wave, string_agg(finding_key, ' ' ORDER BY position)
        FROM waves LEFT JOIN wave_findings USING (wave_number) GROUP BY wave ORDER BY wave
        """
    ).fetchall()
    return dict(found)


def plan_numbers(tx: Transaction) -> dict[str, int]:
    return dict(tx.execute("SELECT wave, plan_number FROM waves ORDER BY wave").fetchall())


@pytest.mark.parametrize(
    ("keys", "size", "waves"),
    [
        ("abcde", 2, ["a b", "c d", "e"]),
        ("abcd", 4, ["a b c d"]),
        ("a", 10, ["a"]),
        ("abc", 1, ["a", "b", "c"]),
        ("", 4, []),
    ],
)
def test_findings_are_cut_into_waves_of_one_size_the_best_first(
    tx: Transaction, keys: str, size: int, waves: list[str]
) -> None:
    rank(tx, *keys)
    plan = cut(tx, size)
    assert members(tx) == {wave_name(number): wave for number, wave in enumerate(waves, 1)}
    assert plan == Plan(
        waves=tuple(members(tx)), changed=tuple(members(tx)), removed=(), frozen=0, planned_findings=len(keys)
    )


def test_wave_names_sort_like_their_numbers() -> None:
    assert [wave_name(number) for number in (1, 42, 9999)] == ["wave-0001", "wave-0042", "wave-9999"]


def test_the_same_input_gives_the_same_plan(tx: Transaction) -> None:
    rank(tx, *"abcde")
    cut(tx, 2)
    before = (members(tx), plan_numbers(tx))
    rank(tx, *"abcde")
    again = cut(tx, 2)
    assert (again.changed, again.removed) == ((), ())
    assert (members(tx), plan_numbers(tx)) == before


def test_only_waves_that_change_get_a_new_plan_number(tx: Transaction) -> None:
    rank(tx, *"abcdef")
    cut(tx, 2)
    before = plan_numbers(tx)
    rank(tx, *"abcdyz")
    assert cut(tx, 2).changed == ("wave-0003",)
    after = plan_numbers(tx)
    assert {wave: after[wave] - before[wave] for wave in after} == {"wave-0001": 0, "wave-0002": 0, "wave-0003": 1}


def test_a_wave_whose_findings_change_places_is_another_plan(tx: Transaction) -> None:
    rank(tx, *"abcd")
    cut(tx, 2)
    rank(tx, *"bacd")
    assert cut(tx, 2).changed == ("wave-0001",)
    assert members(tx)["wave-0001"] == "b a"


def test_another_size_cuts_the_waves_again_and_removes_those_left_over(tx: Transaction) -> None:
    rank(tx, *"abcdef")
    cut(tx, 2)
    plan = cut(tx, 4)
    assert (plan.waves, plan.removed) == (("wave-0001", "wave-0002"), ("wave-0003",))
    assert members(tx) == {"wave-0001": "a b c d", "wave-0002": "e f"}


def test_a_frozen_wave_stays_and_numbers_go_on_after_it(tx: Transaction) -> None:
    rank(tx, *"abcde")
    cut(tx, 2)
    freeze(tx, "wave-0001")
    number = plan_numbers(tx)["wave-0001"]
    rank(tx, *"zabcde")
    assert cut(tx, 3).frozen == 1
    assert members(tx) == {"wave-0001": "a b", "wave-0002": "z c d", "wave-0003": "e"}
    assert plan_numbers(tx)["wave-0001"] == number


def test_numbers_go_on_after_the_highest_frozen_wave(tx: Transaction) -> None:
    rank(tx, *"abcdef")
    cut(tx, 2)
    freeze(tx, "wave-0002")
    assert cut(tx, 2).removed == ("wave-0001",)
    assert members(tx) == {"wave-0002": "c d", "wave-0003": "a b", "wave-0004": "e f"}


def test_a_frozen_wave_stays_when_its_findings_are_closed(tx: Transaction) -> None:
    rank(tx, *"abcd")
    cut(tx, 2)
    freeze(tx, "wave-0001")
    rank(tx, *"cdx")
    cut(tx, 2)
    assert members(tx) == {"wave-0001": "a b", "wave-0002": "c d", "wave-0003": "x"}


def test_a_finding_of_a_frozen_wave_is_not_planned_again(tx: Transaction) -> None:
    rank(tx, *"ab")
    cut(tx, 2)
    freeze(tx, "wave-0001")
    rank(tx, *"ba")
    assert cut(tx, 2).planned_findings == 0
    assert members(tx) == {"wave-0001": "a b"}


@pytest.mark.parametrize("frozen", [(), ("wave-0001",), ("wave-0002",), ("wave-0001", "wave-0003")])
def test_every_finding_is_in_exactly_one_wave(tx: Transaction, frozen: tuple[str, ...]) -> None:
    rank(tx, *"abcdefg")
    cut(tx, 2)
    freeze(tx, *frozen)
    for size in (1, 2, 5):
        rank(tx, *"zabcdefg")
        cut(tx, size)
        placed = sorted(" ".join(members(tx).values()).split())
        assert placed == sorted("zabcdefg")
        places = tx.execute("SELECT list(position ORDER BY position) FROM wave_findings GROUP BY wave_number")
        assert all(found == list(range(1, len(found) + 1)) for (found,) in places.fetchall())


def test_an_unclaimed_round_of_a_wave_that_changes_is_deleted(tx: Transaction) -> None:
    rank(tx, *"abcd")
    cut(tx, 2)
    for number in (1, 2):
        tx.execute(
            "INSERT INTO rounds BY NAME SELECT ? AS wave_number, 1 AS round, ? AS opened_at,"
            " 1 AS plan_number, FALSE AS ignored_gate",
            [number, NOON],
        )
    tx.execute(
        """
        INSERT INTO attempts (finding_key, attempt, wave_number, round, is_retry, status, playbook,
            playbook_version, created_at)
        SELECT finding_key, 1, wave_number, 1, FALSE, 'pending', 'xss', 'v', ? FROM wave_findings
        """,
        [NOON],
    )
    rank(tx, *"abcz")
    assert cut(tx, 2).changed == ("wave-0002",)
    assert tx.execute("SELECT wave_number FROM rounds").fetchall() == [(1,)]
    assert tx.execute("SELECT DISTINCT wave_number FROM attempts").fetchall() == [(1,)]
