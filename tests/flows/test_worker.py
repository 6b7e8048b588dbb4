"""The warm worker on a real Prefect server: processes of their own, and every death in the middle of a run."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deployments.local.supervision import start_part, stop_part
from domain.status import RunStatus
from tests.flow_worker import WorkerYard, change_flow, is_alive, kill, open_yard
from tests.polling import wait_for
from tests.stack import LocalStack


@pytest.fixture
def yard(stack: LocalStack, tmp_path: Path) -> Iterator[WorkerYard]:
    """A worker that may be killed, on a checkout that may be changed."""
    with open_yard(stack, tmp_path) as yard:
        yield yard


def test_two_runs_at_once_are_two_processes(yard: WorkerYard) -> None:
    """Each has its session, its name, its environment and the worker as its parent; one thread forked them."""
    first, second = yard.run(), yard.run()
    assert first.pid != second.pid
    for trial in (first, second):
        process = psutil.Process(trial.pid)
        assert os.getsid(trial.pid) == trial.pid
        assert process.name() == f"run-{trial.run_id.replace('-', '')[-11:]}"
        assert process.ppid() == yard.pid
        assert process.cwd() == str(yard.folder)
        assert trial.read_began()[1:] == ["old", "its-own"]
    assert yard.find_zygote().num_threads() == 1
    for trial in (first, second):
        trial.end()
        trial.wait_for_status(RunStatus.SUCCEEDED)


def test_a_changed_flow_is_new_code_at_once(yard: WorkerYard) -> None:
    """The zygote has imported the flow, and starts over when its file has changed; a running run is not touched."""
    before = yard.run()
    change_flow(yard)
    after = yard.run()
    assert (before.read_began()[1], after.read_began()[1]) == ("old", "new")
    before.end()
    before.wait_for_status(RunStatus.SUCCEEDED)


def test_a_killed_run_is_crashed_and_alone(yard: WorkerYard) -> None:
    """SIGKILL of one: Prefect knows it, and the other ends as if nothing had been."""
    killed, other = yard.run(), yard.run()
    kill(killed.pid)
    killed.wait_for_status(RunStatus.CRASHED)
    other.end()
    other.wait_for_status(RunStatus.SUCCEEDED)


def test_a_cancelled_run_is_interrupted_in_order(yard: WorkerYard) -> None:
    """The flow gets Prefect's exception, on which a block ends its child, and the run is Cancelled."""
    trial = yard.run()
    yard.prefect.cancel_run(trial.run_id)
    trial.wait_for_status(RunStatus.CANCELLED)
    assert (trial.folder / "interrupted").read_text() == "TerminationSignal"
    wait_for("its process has ended", lambda: not is_alive(trial.pid))


def test_a_suspension_is_heard_of(yard: WorkerYard) -> None:
    """Also the one that came before the run listened: at once after its beginning."""
    trial = yard.run()
    suspended = {"state": {"type": "PAUSED", "name": "Suspended"}}
    assert yard.ask("POST", f"/flow_runs/{trial.run_id}/set_state", suspended)["status"] == "ACCEPT"
    trial.wait_for_suspension()


def test_a_killed_zygote_harms_no_run(yard: WorkerYard) -> None:
    """What it forked goes on and is watched as before; the next run has a new one."""
    killed, other = yard.run(), yard.run()
    yard.find_zygote().kill()
    later = yard.run()
    kill(killed.pid)
    killed.wait_for_status(RunStatus.CRASHED)
    for trial in (other, later):
        trial.end()
        trial.wait_for_status(RunStatus.SUCCEEDED)


def test_a_killed_worker_harms_no_run(yard: WorkerYard) -> None:
    """Runs go on without it; the next worker takes them over: it reports crashes, also earlier ones, and cancels."""
    ending, killed, killed_before, cancelled = (yard.run() for _ in range(4))
    yard.kill()
    kill(killed_before.pid)
    ending.end()
    ending.wait_for_status(RunStatus.SUCCEEDED)
    yard.start()
    killed_before.wait_for_status(RunStatus.CRASHED)
    kill(killed.pid)
    killed.wait_for_status(RunStatus.CRASHED)
    yard.prefect.cancel_run(cancelled.run_id)
    cancelled.wait_for_status(RunStatus.CANCELLED)
    assert (cancelled.folder / "interrupted").read_text() == "TerminationSignal"


def test_a_stopped_worker_ends_its_runs_first(yard: WorkerYard) -> None:
    """SIGTERM once: the flow is interrupted, Prefect knows that it did not end, and the worker is gone."""
    trial = yard.run()
    assert yard.stop() == 0
    assert (trial.folder / "interrupted").read_text() == "TerminationSignal"
    assert trial.status == RunStatus.CRASHED
    yard.start()


def test_a_pool_limit_is_kept(yard: WorkerYard) -> None:
    """Polling at each event does not take more runs than the pool allows."""
    yard.ask("PATCH", f"/work_pools/{yard.pool}", {"concurrency_limit": 1})
    trials = [yard.queue() for _ in range(4)]
    for _ in trials:
        begun = wait_for("a run has begun", lambda: [t for t in trials if t.status == RunStatus.RUNNING])
        assert len(begun) == 1
        begun[0].end()
        begun[0].wait_for_status(RunStatus.SUCCEEDED)


def test_a_full_queue_holds_no_other_one_up(yard: WorkerYard) -> None:
    """As many as the queue's limit run and the next waits; housekeeping, in another queue, begins at once."""
    yard.ask("PATCH", f"/work_pools/{yard.pool}/queues/default", {"concurrency_limit": 1})
    yard.ask("POST", f"/work_pools/{yard.pool}/queues", {"name": "housekeeping"})
    first, second = yard.run(), yard.queue()
    queue = {"work_pool_name": yard.pool, "work_queue_name": "housekeeping"}
    yard.ask("PATCH", f"/deployments/{yard.deployment_id}", queue)
    housekeeping = yard.run()
    assert not (second.folder / "began").exists()
    for trial in (housekeeping, first, second):
        trial.end()
        trial.wait_for_status(RunStatus.SUCCEEDED)


def test_a_restart_of_prefect_is_survived(yard: WorkerYard, stack: LocalStack) -> None:
    """The run goes on, the next one starts, and both can still be cancelled; the health page tells meanwhile."""
    yard.stop()
    yard.start(PREFECT_WORKER_QUERY_SECONDS="0.2")  # 30 of them without a poll are too many
    trial = yard.run()
    assert yard.is_polling
    stop_part(stack.record, "prefect", 10)
    wait_for("the page says that it does not poll", lambda: not yard.is_polling)
    start_part(stack.record, "prefect", 180)
    wait_for("the page says that it polls", lambda: yard.is_polling)
    later = yard.run()
    for each in (trial, later):
        yard.prefect.cancel_run(each.run_id)
        each.wait_for_status(RunStatus.CANCELLED)
    wait_for("the stack's worker is well", lambda: stack.parts["worker"].is_healthy)
