"""Which rounds are opened, which go on, and which are refused."""

import pytest

from remediation_assets.models import Outcome
from remediation_assets.planning.playbooks import PlaybookText, read_playbooks
from remediation_assets.planning.wave_plan import UnknownWave
from remediation_assets.planning.waves import plan_waves
from remediation_assets.sessions.store.rounds import GateClosed, OpenOptions, PlanIsStale, open_round
from tests.support.worker import Worker

pytestmark = pytest.mark.anyio

S, F = Outcome.SUCCESS, Outcome.FAILED


async def test_a_first_round_takes_every_finding_of_its_wave(worker: Worker) -> None:
    worker.plan(6)
    opening = worker.open()
    assert (opening.round, opening.is_new, opening.attempts, opening.ignored_gate) == (1, True, 4, False)
    assert worker.attempts("status, is_retry, wave_number, round") == {
        (f"F-{number}", 1): ("pending", False, 1, 1) for number in range(1, 5)
    }


async def test_opening_sends_nothing(worker: Worker) -> None:
    worker.plan(4)
    worker.open()
    assert worker.wire.requests == []


async def test_a_wave_waits_for_the_one_before_it(worker: Worker) -> None:
    worker.plan(8)
    with pytest.raises(GateClosed, match=r"wave-0001 has not been run to its end; run wave-0001 first"):
        worker.open("wave-0002")
    assert worker.rows("FROM rounds") == []


async def test_a_wave_waits_while_the_one_before_it_is_at_work(worker: Worker) -> None:
    worker.plan(8)
    worker.open()
    await worker.step()
    with pytest.raises(GateClosed, match="wave-0001 has not been run to its end"):
        worker.open("wave-0002")


async def test_a_wave_after_a_failed_gate_is_refused_with_the_figures(worker: Worker) -> None:
    worker.plan(8)
    await worker.settle(S, S, F, F)
    with pytest.raises(GateClosed, match=r"wave-0001 has not passed its gate \(2 of 4 succeeded, 50%, needed 70%\)"):
        worker.open("wave-0002")
    assert worker.rows("SELECT wave_number FROM rounds") == [(1,)]


async def test_a_wave_after_a_passed_gate_is_opened(worker: Worker) -> None:
    worker.plan(8)
    await worker.settle(S, S, S, S)
    opening = worker.open("wave-0002")
    assert (opening.is_new, opening.attempts, opening.ignored_gate) == (True, 4, False)


async def test_the_last_verdict_of_the_wave_before_counts(worker: Worker) -> None:
    worker.plan(8)
    await worker.settle(S, S, F, F)
    worker.collect()
    worker.open()
    worker.wire.succeed("F-3", 2, repository="https://git.example.com/acme/shop")
    worker.wire.succeed("F-4", 2, repository="https://git.example.com/acme/shop")
    await worker.follow()
    assert worker.open("wave-0002").ignored_gate is False


async def test_overruling_the_gate_leaves_a_trace(worker: Worker) -> None:
    worker.plan(8)
    assert worker.open("wave-0002", ignore_gate=True).ignored_gate
    assert worker.rows("SELECT wave_number, ignored_gate FROM rounds") == [(2, True)]
    [(message, details)] = worker.rows("SELECT message, details FROM session_events")
    assert "overruling the gate: wave-0001 has not been run to its end" in message
    assert details == '{"ignored_gate": true}'


async def test_an_overruled_gate_stands_in_the_waves_own_verdict(worker: Worker) -> None:
    worker.plan(8)
    worker.open("wave-0002", ignore_gate=True)
    await worker.follow("wave-0002")
    assert worker.rows("SELECT wave, ignored_gate FROM gate_results") == [("wave-0002", True)]


async def test_ignoring_an_open_gate_leaves_no_trace(worker: Worker) -> None:
    worker.plan(4)
    assert worker.open(ignore_gate=True).ignored_gate is False
    assert worker.rows("SELECT ignored_gate FROM rounds") == [(False,)]


async def test_a_round_that_is_not_collected_goes_on(worker: Worker) -> None:
    worker.plan(4)
    await worker.settle(S, S, F, F)
    before = worker.outcomes()
    opening = worker.open()
    assert (opening.round, opening.is_new, opening.attempts) == (1, False, 4)
    assert worker.outcomes() == before


async def test_a_later_round_takes_only_what_has_not_succeeded(worker: Worker) -> None:
    worker.plan(4)
    await worker.settle(S, S, F, F)
    worker.collect()
    opening = worker.open()
    assert (opening.round, opening.is_new, opening.attempts) == (2, True, 2)
    assert [key for key, (number, retry) in worker.attempts("round, is_retry").items() if number == 2] == [
        ("F-3", 2),
        ("F-4", 2),
    ]
    assert not any(retry for _, retry in worker.attempts("round, is_retry").values())


async def test_a_later_round_does_not_open_where_everything_has_succeeded(worker: Worker) -> None:
    worker.plan(4)
    await worker.settle(S, S, S, S)
    worker.collect()
    opening = worker.open()
    assert (opening.round, opening.is_new, opening.attempts) == (1, False, 0)
    assert worker.rows("SELECT count(*) FROM rounds") == [(1,)]


async def test_a_later_round_runs_with_the_playbooks_as_they_are_now(worker: Worker) -> None:
    worker.plan(4)
    await worker.settle(S, S, F, F)
    worker.collect()
    mended = {
        category: PlaybookText(playbook.name, playbook.body + "\nMended.\n")
        for category, playbook in read_playbooks().items()
    }
    with worker.transaction() as tx:
        open_round(tx, "wave-0001", mended, OpenOptions("run"))
    await worker.step()
    first, second = (worker.attempts("playbook_version")["F-3", number] for number in (1, 2))
    assert first != second
    titles = {body["title"]: body["playbook_id"] for body in worker.wire.created()}
    assert titles["Remediate F-3 (attempt 1)"] != titles["Remediate F-3 (attempt 2)"]


async def test_a_wave_without_a_plan_is_not_opened(worker: Worker) -> None:
    worker.plan(4)
    with worker.ledger.transaction() as tx:
        tx.execute("DELETE FROM wave_plan")
    with pytest.raises(PlanIsStale, match="materialize wave_plan first"):
        worker.open()


async def test_a_wave_that_was_cut_anew_after_its_plan_is_not_opened(worker: Worker) -> None:
    worker.plan(8)
    with worker.ledger.transaction() as tx:
        plan_waves(tx, wave_size=3, now=worker.clock())
    with pytest.raises(PlanIsStale, match="wave-0001"):
        worker.open()


async def test_attempts_of_a_plan_that_was_cut_anew_are_not_sent(worker: Worker) -> None:
    worker.plan(8)
    worker.open()
    with worker.ledger.transaction() as tx:
        tx.execute("UPDATE waves SET plan_number = plan_number + 1")
    assert (await worker.step()).started == 0
    assert worker.wire.created() == []


async def test_a_wave_that_nobody_planned_is_not_opened(worker: Worker) -> None:
    with pytest.raises(UnknownWave, match=r"wave-0001 is not a wave of the plan \(nothing is planned yet\)"):
        worker.open()
