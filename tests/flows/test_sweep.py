"""Dead runs are ended from the ledger alone, living ones are waited for, through the real flows on the real stack."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from blocks.left_processes import find_left_processes
from tests.flow_world import PARTS, FlowProcess, World
from tests.flows.test_provision import wait_for_end, wait_for_slow_part
from tests.polling import wait_for
from tests.relay import relay_to

SLOW = {"slow_seconds": {"logs": 120}}


def kill_apply(world: World, name: str) -> str:
    """A run of the worker, its flow and its Terraform killed in the middle of the apply."""
    queued = world.start("provision", name, world.add_spec(name, rehearsal=SLOW))
    flow = psutil.Process(wait_for_slow_part(world, queued.run_id, "logs"))
    flow.suspend()
    for process in [*flow.children(recursive=True), flow]:
        process.kill()
    return queued.run_id


def test_a_dead_run_is_ended_by_the_sweeper(world: World, name: str) -> None:
    """Crashed, with what exists; steps, lock, lease, folder and its run in Prefect are in order; the next is ready."""
    run_id = kill_apply(world, name)
    assert world.status(name) == "provisioning"
    wait_for("the process is gone", lambda: all(row.is_proved_dead for row in world.ledger.list_live(name)))
    world.sweep()
    run = world.ledger.read_run(run_id)
    assert run is not None
    assert (run.status, run.environment_status, world.status(name)) == ("crashed", "failed", "failed")
    assert "the run died, process" in (run.error or "")
    steps = [(step.name, step.outcome) for step in world.steps(run_id)]
    assert steps == [("pin_modules", "succeeded"), ("apply_infrastructure", "interrupted")]
    assert (run.report or {})["exists"] == list(world.observe(name)["resources"])
    assert not world.observe(name)["is_locked"]
    assert world.is_clean(run_id)
    assert (world.ledger.list_leases(), world.ledger.list_live(name)) == ([], [])
    taken = [event for event in world.ledger.list_events(name) if event.kind == "takeover"]
    assert [(event.actor, event.run_id) for event in taken] == [("sweeper", run_id)]
    wait_for("Prefect says so too", lambda: world.prefect.read_run(run_id).status == "crashed")  # type: ignore[union-attr]  # it is there
    again = world.run("provision", name, world.add_spec(name))
    assert (again.environment_status, world.parts(name)) == ("ready", list(PARTS))


def test_the_next_run_does_not_wait_for_the_sweeper(world: World, name: str) -> None:
    """It ends the dead run itself, before it begins."""
    run_id = kill_apply(world, name)
    wait_for("the process is gone", lambda: all(row.is_proved_dead for row in world.ledger.list_live(name)))
    again = world.run("provision", name, world.add_spec(name))
    assert again.environment_status == "ready"
    dead = world.ledger.read_run(run_id)
    assert dead is not None
    assert dead.status == "crashed"


def test_a_dead_plan_is_unwound(world: World, name: str) -> None:
    """The plan that it saved is gone from the account, its step is undone, and nothing is said of an environment."""
    with world.faults.order(name, "save_plan", "end", "hang"):
        world.process.tell("run", "plan", {"environment": name, "spec_version": world.add_spec(name)}, None)
        wait_for("the plan is saved and not recorded", world.faults.is_hanging)
        world.process.kill()
    assert len(world.observe(name)["plans"]) == 1
    world.sweep()
    (run,) = world.ledger.list_runs(name)
    assert (run.status, run.environment_status, world.status(name)) == ("crashed", None, None)
    assert [(step.name, step.outcome) for step in world.steps(run.run_id)] == [("save_plan", "undone")]
    assert world.observe(name)["plans"] == []


def test_a_run_that_had_done_everything_gets_its_end(world: World, name: str) -> None:
    """It died between its last step and its outcome: the environment is ready, and the ledger says so."""
    with world.faults.order(name, "outcome", "begin", "hang"):
        version = world.add_spec(name)
        world.process.tell("run", "provision", {"environment": name, "spec_version": version}, None)
        wait_for("only the outcome is missing", world.faults.is_hanging)
        world.process.kill()
    world.sweep()
    (run,) = world.ledger.list_runs(name)
    assert (run.status, run.environment_status, world.status(name)) == ("succeeded", "ready", "ready")


def test_a_living_run_is_left_alone_and_waited_for(world: World, name: str) -> None:
    """The sweeper does nothing to it; a second run waits, visibly, and has nothing to do when the first is done."""
    version = world.add_spec(name, rehearsal={"slow_seconds": {"logs": 30}})
    first = world.start("provision", name, version)
    wait_for_slow_part(world, first.run_id, "logs")
    second = world.start("provision", name, version)
    wait_for("the second waits", lambda: world.ledger.is_waiting(second.run_id))
    world.sweep()
    assert [row.run_id for row in world.ledger.list_leases()] == [first.run_id]
    ends = [wait_for_end(world, queued.run_id) for queued in (first, second)]
    assert [(end.status, end.environment_status) for end in ends] == [("succeeded", "ready")] * 2
    assert ends[0].finished_at is not None
    assert ends[1].begun_at >= ends[0].finished_at
    assert [step.name for step in world.steps(second.run_id)] == ["publish_report"]


def test_a_run_that_waited_long_enough_is_refused(world: World, name: str, tmp_path: Path) -> None:
    """With the name of the holder and the way out; nothing was changed."""
    first = world.start("provision", name, world.add_spec(name, rehearsal=SLOW))
    wait_for_slow_part(world, first.run_id, "logs")
    impatient = FlowProcess(world.stack.environment | {"TERRARIUM_LEASE_WAIT_MINUTES": "0"}, tmp_path / "log")
    try:
        answer = impatient.ask("run", "teardown", {"environment": name}, None)
    finally:
        impatient.kill()
    run = world.ledger.read_run(answer["run_id"])
    assert run is not None
    assert (run.status, run.environment_status) == ("refused", None)
    assert f"is being changed by run {first.run_id} (provision by prefect-ui, process" in (run.error or "")
    assert f"terrarium env unlock {name}" in (run.report or {})["resolution"]
    world.prefect.cancel_run(first.run_id)
    assert wait_for_end(world, first.run_id).status == "cancelled"


def test_an_unlocked_run_records_nothing_more(world: World, name: str) -> None:
    """It lived after all: it fails at the end of its step, the sweeper records its end, and the next run converges."""
    slow = world.start("provision", name, world.add_spec(name, rehearsal={"slow_seconds": {"logs": 5}}))
    wait_for_slow_part(world, slow.run_id, "logs")
    world.ledger.unlock(name, "alice", "its node is gone")
    wait_for("Prefect has its end", lambda: world.prefect.read_run(slow.run_id).status.is_final)  # type: ignore[union-attr]  # it is there
    world.sweep()
    run = world.ledger.read_run(slow.run_id)
    assert run is not None
    assert run.status == "crashed"
    again = world.run("provision", name, world.add_spec(name))
    assert again.environment_status == "ready"


@pytest.mark.parametrize("is_killed", [False, True], ids=["failed", "killed"])
def test_a_state_that_could_not_be_written_is_put_back(world: World, name: str, is_killed: bool) -> None:
    """S3 is gone as the state is written: the next run puts that state into the bucket, and goes on from it."""
    with relay_to(world.stack.settings.emulator_port) as relay:
        account = {"name": f"relay-{name}", "endpoint_url": f"http://127.0.0.1:{relay.port}"}
        described = world.account.model_copy(update=account).model_dump(exclude_none=True)
        world.process.ask("register", described)
        version = world.add_spec(name, account=account["name"], rehearsal={"slow_seconds": {"logs": 4}})
        queued = world.start("provision", name, version)
        pid = wait_for_slow_part(world, queued.run_id, "logs")
        relay.cut()
        if is_killed:
            os.kill(pid, signal.SIGKILL)
        folder = world.stack.settings.state_dir / "work" / name / queued.run_id
        wait_for("the state is left behind", lambda: any(folder.rglob("errored.tfstate")), 120)
        wait_for("everything has ended", lambda: not find_left_processes(folder) and not psutil.pid_exists(pid), 120)
        assert world.observe(name)["is_locked"]
        relay.mend()
        again = world.run("provision", name, version)
        assert (again.status, again.environment_status) == ("succeeded", "ready"), again.error
        assert not folder.exists()
        assert (world.parts(name), world.observe(name)["is_locked"]) == (list(PARTS), False)
        created = [row for row in world.ledger.read_journal(queued.run_id) if row.kind == "completed"]
        left = world.observe(name)["resources"]
        assert created
        assert all(left[row.address] == row.resource_id for row in created if "logs" not in row.address)
