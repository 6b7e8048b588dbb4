"""Leases on a real PostgreSQL: one run changes an environment at a time, and only a dead one loses it."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, update

from blocks.ledger import Ledger
from blocks.ledger.leases import LivenessRow, LostLeaseError
from blocks.ledger.team_tables import liveness
from domain.errors import PermanentError
from domain.status import EnvironmentStatus, Operation, RunStatus


def _begin(ledger: Ledger, run_id: str, operation: Operation = Operation.PROVISION) -> None:
    version = ledger.add_spec("dev", "{}", "", "ada")
    ledger.begin_run(run_id, "dev", operation, "f", version, None, "ada", "host", 1)


def _hold(ledger: Ledger, run_id: str) -> None:
    ledger.enter_run(run_id, "dev")
    assert ledger.take_lease("dev", run_id) is None


def _move(ledger: Ledger, run_id: str, **process: object) -> LivenessRow:
    """Let another process act for a run."""
    with ledger._write() as connection:
        connection.execute(update(liveness).where(liveness.c.run_id == run_id).values(**process))
    return next(row for row in ledger.list_live() if row.run_id == run_id)


def _find_dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_one_run_holds_an_environment(ledger: Ledger) -> None:
    """The second is told who holds it, again and again, until the first has ended; taking twice is taking once."""
    _begin(ledger, "first")
    _hold(ledger, "first")
    _hold(ledger, "first")
    ledger.enter_run("second", "dev")
    holder = ledger.take_lease("dev", "second")
    assert holder is not None
    assert (holder.run_id, holder.actor, holder.operation) == ("first", "ada", "provision")
    assert "run first (provision by ada, process" in str(holder)
    assert ledger.is_waiting("second")
    assert not ledger.is_waiting("first")
    ledger.finish_run("first", RunStatus.SUCCEEDED, EnvironmentStatus.READY)
    assert ledger.take_lease("dev", "second") is None
    assert [row.run_id for row in ledger.list_leases()] == ["second"]


def test_of_many_at_once_one_gets_the_lease(ledger: Ledger) -> None:
    """Eight runs take it at the same moment."""
    for number in range(8):
        ledger.enter_run(f"run-{number}", "dev")
    with ThreadPoolExecutor(8) as pool:
        holders = list(pool.map(lambda number: ledger.take_lease("dev", f"run-{number}"), range(8)))
    assert holders.count(None) == 1


def test_a_change_without_the_lease_is_not_recorded(ledger: Ledger) -> None:
    """Neither a step's beginning nor its end; a plan needs none."""
    _begin(ledger, "run-1")
    with pytest.raises(LostLeaseError, match=r"dev: run run-1 does not hold"):
        ledger.begin_step("run-1", "apply", {})
    _hold(ledger, "run-1")
    step_id = ledger.begin_step("run-1", "apply", {})
    ledger.unlock("dev", "bob", "its node is gone")
    with pytest.raises(LostLeaseError):
        ledger.finish_step(step_id, "succeeded")
    _begin(ledger, "run-2", Operation.PLAN)
    ledger.begin_step("run-2", "save_plan", {})


def test_another_process_of_the_same_run_has_no_lease(ledger: Ledger) -> None:
    """The lease is the run's and its process's: one that was taken over writes nothing more, and lets nothing go."""
    _begin(ledger, "run-1")
    _hold(ledger, "run-1")
    _move(ledger, "run-1", pid=1)
    with pytest.raises(LostLeaseError):
        ledger.begin_step("run-1", "apply", {})
    assert not ledger.beat("run-1")
    ledger.leave_run("run-1")
    assert [row.run_id for row in ledger.list_leases()] == ["run-1"]


def test_a_heartbeat_is_the_databases_time(ledger: Ledger) -> None:
    """Each beat is later than the one before; a run that left beats no more."""
    ledger.enter_run("run-1", "dev")
    first = ledger.list_live("dev")[0].beat_at
    assert ledger.beat("run-1")
    assert ledger.list_live("dev")[0].beat_at > first
    ledger.leave_run("run-1")
    assert not ledger.beat("run-1")
    assert ledger.list_live() == []


def test_only_a_process_that_is_gone_is_proved_dead(ledger: Ledger) -> None:
    """Ours lives; a gone one of this machine is dead; of another machine, container or name nothing is known."""
    ledger.enter_run("run-1", "dev")
    assert not ledger.list_live()[0].is_proved_dead
    own, gone = ledger.list_live()[0], _find_dead_pid()
    assert _move(ledger, "run-1", pid=gone).is_proved_dead
    assert not _move(ledger, "run-1", pid_namespace="pid:[1]").is_proved_dead
    elsewhere = {"pid_namespace": own.pid_namespace, "boot_id": "another", "host": "other-host/another"}
    assert not _move(ledger, "run-1", **elsewhere).is_proved_dead
    same_image = f"other-host/{own.host.partition('/')[2]}"
    assert not _move(ledger, "run-1", host=same_image).is_proved_dead


def test_a_dead_run_is_taken_over_once(ledger: Ledger) -> None:
    """Two sweepers see it; one acts for it, on record in the chain, under the run's own lease."""
    _begin(ledger, "run-1")
    _hold(ledger, "run-1")
    step_id = ledger.begin_step("run-1", "apply", {})
    dead = _move(ledger, "run-1", pid=_find_dead_pid())
    assert ledger.take_over(dead, "sweeper", "its process is gone")
    assert not ledger.take_over(dead, "sweeper", "its process is gone")
    ledger.finish_step(step_id, "interrupted")
    ledger.finish_run("run-1", RunStatus.CRASHED, EnvironmentStatus.FAILED)
    assert (ledger.list_leases(), ledger.list_live()) == ([], [])
    assert [(one.kind, one.actor) for one in ledger.list_events()].count(("takeover", "sweeper")) == 1
    assert ledger.verify_chain() is None


def test_a_person_unlocks(ledger: Ledger) -> None:
    """The reason and the name are on record, the run counts as dead, and others may have the environment."""
    _begin(ledger, "run-1")
    _hold(ledger, "run-1")
    assert ledger.unlock("dev", "bob", "its node is gone") == "run-1"
    assert ledger.list_live()[0].is_proved_dead
    _hold(ledger, "run-2")
    last = ledger.list_events()[-1]
    assert (last.kind, last.actor, last.reason, last.run_id) == ("takeover", "bob", "its node is gone", "run-1")
    ledger.leave_run("run-2")
    with pytest.raises(PermanentError, match="dev is not locked"):
        ledger.unlock("dev", "bob", "again")


def test_a_person_unlocks_a_run_that_never_began(ledger: Ledger) -> None:
    """It died between the lease and its first record: nothing but its lease is known, and it is free."""
    _hold(ledger, "run-1")
    assert ledger.unlock("dev", "bob", "its node is gone") == "run-1"
    assert (ledger.list_leases(), ledger.list_live()[0].is_proved_dead) == ([], True)
    assert ledger.take_over(ledger.list_live()[0], "sweeper", "a person said so")
    ledger.leave_run("run-1")
    assert ledger.list_live() == []


def test_a_lease_that_is_let_go_while_it_is_taken_is_taken(ledger: Ledger) -> None:
    """The holder ends between the try and the question who holds it: the second run has the lease, not an error."""
    _hold(ledger, "first")
    ledger.enter_run("second", "dev")
    tries = []

    def let_go(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("INSERT INTO ledger.lease "):
            tries.append(statement)
            ledger.leave_run("first")

    event.listen(ledger._engine, "after_cursor_execute", let_go)
    try:
        assert ledger.take_lease("dev", "second") is None
    finally:
        event.remove(ledger._engine, "after_cursor_execute", let_go)
    assert (len(tries), [row.run_id for row in ledger.list_leases()]) == (2, ["second"])


def test_a_run_that_cannot_be_ended_is_taken_over_once_on_record(ledger: Ledger) -> None:
    """Each sweeper dies too, and another one tries: the chain has one takeover, and one more for another attempt."""
    _begin(ledger, "run-1")
    _hold(ledger, "run-1")
    for _ in range(3):
        assert ledger.take_over(_move(ledger, "run-1", pid=_find_dead_pid()), "sweeper", "its process is gone")
    assert [one.kind for one in ledger.list_events()].count("takeover") == 1
    _begin(ledger, "run-1")
    assert ledger.take_over(_move(ledger, "run-1", pid=_find_dead_pid()), "sweeper", "its process is gone")
    assert [one.kind for one in ledger.list_events()].count("takeover") == 2


def test_a_run_without_a_recorded_end_is_not_left(ledger: Ledger) -> None:
    """The database was away when the run ended: it stays among the live, for the sweeper to find."""
    _begin(ledger, "run-1")
    _hold(ledger, "run-1")
    ledger.leave_run("run-1")
    assert [row.run_id for row in ledger.list_live()] == ["run-1"]
