"""Which rounds are opened, which go on, and which are refused."""

import pytest

from remediation_assets.models import Outcome
from remediation_assets.planning.playbooks import PlaybookText, read_playbooks
from remediation_assets.planning.wave_plan import UnknownWave
from remediation_assets.planning.waves import plan_waves
from remediation_assets.sessions.events import Timeline
from remediation_assets.sessions.rounds import GateClosed, PlanIsStale, open_round
from tests.support.carrier import Carrier

pytestmark = pytest.mark.anyio

S, F = Outcome.SUCCESS, Outcome.FAILED


async def test_a_first_round_takes_every_finding_of_its_wave(carrier: Carrier) -> None:
    carrier.plan(6)
    opening = carrier.open()
    assert (opening.round, opening.is_new, opening.attempts, opening.ignored_gate) == (1, True, 4, False)
    assert carrier.attempts("status, is_retry, wave_number, round") == {
        (f"F-{number}", 1): ("pending", False, 1, 1) for number in range(1, 5)
    }


async def test_opening_sends_nothing(carrier: Carrier) -> None:
    carrier.plan(4)
    carrier.open()
    assert carrier.wire.requests == []


async def test_a_wave_waits_for_the_one_before_it(carrier: Carrier) -> None:
    carrier.plan(8)
    with pytest.raises(GateClosed, match=r"wave-0001 has not been run to its end; run wave-0001 first"):
        carrier.open("wave-0002")
    assert carrier.rows("FROM rounds") == []


async def test_a_wave_waits_while_the_one_before_it_is_at_work(carrier: Carrier) -> None:
    carrier.plan(8)
    carrier.open()
    await carrier.step()
    with pytest.raises(GateClosed, match="wave-0001 has not been run to its end"):
        carrier.open("wave-0002")


async def test_a_wave_after_a_failed_gate_is_refused_with_the_figures(carrier: Carrier) -> None:
    carrier.plan(8)
    await carrier.settle(S, S, F, F)
    with pytest.raises(GateClosed, match=r"wave-0001 has not passed its gate \(2 of 4 succeeded, 50%, needed 70%\)"):
        carrier.open("wave-0002")
    assert carrier.rows("SELECT wave_number FROM rounds") == [(1,)]


async def test_a_wave_after_a_passed_gate_is_opened(carrier: Carrier) -> None:
    carrier.plan(8)
    await carrier.settle(S, S, S, S)
    opening = carrier.open("wave-0002")
    assert (opening.is_new, opening.attempts, opening.ignored_gate) == (True, 4, False)


async def test_the_last_verdict_of_the_wave_before_counts(carrier: Carrier) -> None:
    carrier.plan(8)
    await carrier.settle(S, S, F, F)
    carrier.collect()
    carrier.open()
    carrier.wire.succeed("F-3", 2, repository="https://git.example.com/acme/shop")
    carrier.wire.succeed("F-4", 2, repository="https://git.example.com/acme/shop")
    await carrier.follow()
    assert carrier.open("wave-0002").ignored_gate is False


async def test_overruling_the_gate_leaves_a_trace(carrier: Carrier) -> None:
    carrier.plan(8)
    assert carrier.open("wave-0002", ignore_gate=True).ignored_gate
    assert carrier.rows("SELECT wave_number, ignored_gate FROM rounds") == [(2, True)]
    [(message, details)] = carrier.rows("SELECT message, details FROM session_events")
    assert "overruling the gate: wave-0002 is not started: wave-0001 has not been run to its end" in message
    assert details == '{"ignored_gate": true}'


async def test_an_overruled_gate_stands_in_the_waves_own_verdict(carrier: Carrier) -> None:
    carrier.plan(8)
    carrier.open("wave-0002", ignore_gate=True)
    await carrier.follow("wave-0002")
    assert carrier.rows("SELECT wave, ignored_gate FROM gate_results") == [("wave-0002", True)]


async def test_ignoring_an_open_gate_leaves_no_trace(carrier: Carrier) -> None:
    carrier.plan(4)
    assert carrier.open(ignore_gate=True).ignored_gate is False
    assert carrier.rows("SELECT ignored_gate FROM rounds") == [(False,)]


async def test_a_round_that_is_not_collected_goes_on(carrier: Carrier) -> None:
    carrier.plan(4)
    await carrier.settle(S, S, F, F)
    before = carrier.attempts("outcome")
    opening = carrier.open()
    assert (opening.round, opening.is_new, opening.attempts) == (1, False, 4)
    assert carrier.attempts("outcome") == before


async def test_a_later_round_takes_only_what_has_not_succeeded(carrier: Carrier) -> None:
    carrier.plan(4)
    await carrier.settle(S, S, F, F)
    carrier.collect()
    opening = carrier.open()
    assert (opening.round, opening.is_new, opening.attempts) == (2, True, 2)
    assert [key for key, (number, retry) in carrier.attempts("round, is_retry").items() if number == 2] == [
        ("F-3", 2),
        ("F-4", 2),
    ]
    assert not any(retry for _, retry in carrier.attempts("round, is_retry").values())


async def test_a_later_round_does_not_open_where_everything_has_succeeded(carrier: Carrier) -> None:
    carrier.plan(4)
    await carrier.settle(S, S, S, S)
    carrier.collect()
    opening = carrier.open()
    assert (opening.round, opening.is_new, opening.attempts) == (1, False, 0)
    assert carrier.rows("SELECT count(*) FROM rounds") == [(1,)]


async def test_a_later_round_runs_with_the_playbooks_as_they_are_now(carrier: Carrier) -> None:
    carrier.plan(4)
    await carrier.settle(S, S, F, F)
    carrier.collect()
    mended = {
        category: PlaybookText(playbook.name, playbook.body + "\nMended.\n")
        for category, playbook in read_playbooks().items()
    }
    with carrier.ledger.transaction() as tx:
        open_round(
            tx,
            "wave-0001",
            ignore_gate=False,
            run_id="run",
            playbooks=mended,
            timeline=Timeline(carrier.clock()),
        )
    await carrier.step()
    first, second = (carrier.attempts("playbook_version")["F-3", number] for number in (1, 2))
    assert first != second
    titles = {body["title"]: body["playbook_id"] for body in carrier.wire.created()}
    assert titles["Remediate F-3 (attempt 1)"] != titles["Remediate F-3 (attempt 2)"]


async def test_a_wave_without_a_plan_is_not_opened(carrier: Carrier) -> None:
    carrier.plan(4)
    with carrier.ledger.transaction() as tx:
        tx.execute("DELETE FROM wave_plan")
    with pytest.raises(PlanIsStale, match="materialize wave_plan first"):
        carrier.open()


async def test_a_wave_that_was_cut_anew_after_its_plan_is_not_opened(carrier: Carrier) -> None:
    carrier.plan(8)
    with carrier.ledger.transaction() as tx:
        plan_waves(tx, wave_size=3, now=carrier.clock())
    with pytest.raises(PlanIsStale, match="wave-0001"):
        carrier.open()


async def test_attempts_of_a_plan_that_was_cut_anew_are_not_sent(carrier: Carrier) -> None:
    carrier.plan(8)
    carrier.open()
    with carrier.ledger.transaction() as tx:
        tx.execute("UPDATE waves SET plan_number = plan_number + 1")
    assert (await carrier.step()).started == 0
    assert carrier.wire.created() == []


async def test_a_wave_that_nobody_planned_is_not_opened(carrier: Carrier) -> None:
    with pytest.raises(UnknownWave, match=r"wave-0001 is not a wave of the plan \(nothing is planned yet\)"):
        carrier.open()
