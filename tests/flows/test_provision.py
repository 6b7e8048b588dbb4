"""Provisioning on Terraform's `terraform_data`, through the real flows on the real stack."""

import os
import signal
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import psutil

from blocks.ledger import RunRow, StepRow
from domain.changes import Changes, Counts
from domain.status import Operation
from tests.flow_steps import check_what_is_left, every_step_can_fail, every_step_can_repeat
from tests.flow_world import PARTS, World
from tests.polling import wait_for

PROVISION = ("pin_modules", "apply_infrastructure", "verify_infrastructure", "publish_report")
PLAN = ("save_plan", "publish_report")


def wait_for_slow_part(world: World, run_id: str, part: str) -> int:
    """Wait until Terraform has begun a part; the process of the run's flow."""
    wait_for(
        f"{part} has begun",
        lambda: any(part in row.address and row.kind == "started" for row in world.ledger.read_journal(run_id)),
    )
    run = world.ledger.read_run(run_id)
    assert run is not None
    return run.pid


def wait_for_end(world: World, run_id: str) -> RunRow:
    """The run when the ledger has its outcome."""

    def read() -> RunRow | None:
        run = world.ledger.read_run(run_id)
        return run if run and run.finished_at else None

    ended: RunRow = wait_for(f"run {run_id} has ended", read)
    return ended


def find_step(world: World, run: RunRow, name: str) -> StepRow:
    """A run's step of that name."""
    return next(step for step in world.steps(run.run_id) if step.name == name)


def test_a_new_environment_becomes_ready_and_stays_so(world: World, name: str) -> None:
    """Steps, journal, outcome, counts and report are in the ledger; a second run has nothing to do."""
    version = world.add_spec(name)
    run = world.run("provision", name, version)
    assert (run.status, run.environment_status, run.error) == ("succeeded", "ready", "")
    assert run.counts == Counts(add=len(PARTS))
    assert run.report is not None
    assert run.report["resources"] == len(PARTS)
    assert [(step.name, step.outcome) for step in world.steps(run.run_id)] == [(it, "succeeded") for it in PROVISION]
    kinds = [row.kind for row in world.ledger.read_journal(run.run_id)]
    assert {kind: kinds.count(kind) for kind in kinds} == dict.fromkeys(("planned", "started", "completed"), len(PARTS))
    assert world.parts(name) == list(PARTS)
    again = world.run("provision", name, version)
    assert (again.status, again.counts) == ("succeeded", Counts())
    assert [step.name for step in world.steps(again.run_id)] == ["publish_report"]
    row = world.read(name)
    assert (row.status, row.scope, row.resources, row.generation) == ("ready", "infrastructure", len(PARTS), 1)


def test_the_same_spec_is_the_same_version(world: World, name: str) -> None:
    """What did not change gets no new number, and what changed gets the next."""
    assert [world.add_spec(name), world.add_spec(name), world.add_spec(name, cost_centre="TB-9")] == [1, 1, 2]


def test_a_person_sees_steps_progress_and_report_in_prefect(world: World, name: str) -> None:
    """Each step is a task run of its flow run; progress ends at 100 %; the report names the owner's cost centre."""
    run = world.run("provision", name, world.add_spec(name, cost_centre="TB-77"))
    of_run = {"flow_runs": {"id": {"any_": [run.run_id]}}}

    def read_finished() -> set[str]:
        rows = world.ask_prefect("/task_runs/filter", **of_run)
        return {row["name"].rpartition("-")[0] for row in rows if row["state_type"] == "COMPLETED"}

    observing = {"init_terraform", "plan_infrastructure"}
    wait_for("all steps are task runs", lambda: read_finished() == observing | set(PROVISION))
    artifacts = {row["key"]: row for row in world.ask_prefect("/artifacts/filter", **of_run)}
    assert artifacts.keys() == {f"progress-{name}", f"report-{name}"}
    assert artifacts[f"progress-{name}"]["data"] == 100.0
    assert f"{len(PARTS)} of {len(PARTS)} resources" in artifacts[f"progress-{name}"]["description"]
    assert "TB-77" in artifacts[f"report-{name}"]["data"]


def test_a_new_environment_that_fails_is_continued(world: World, name: str) -> None:
    """The error names part and way out, what exists is listed; mended, the next apply makes the environment ready."""
    version = world.add_spec(name, rehearsal={"fail": ["secrets"]})
    before = world.observe(name)
    failed = world.run("provision", name, version)
    assert (failed.status, failed.environment_status) == ("failed", "failed")
    assert "terraform_data.secrets" in failed.error
    assert failed.report is not None
    assert "run it again" in failed.report["resolution"]
    assert world.parts(name) == list(PARTS)  # the failed one is there, tainted
    check_what_is_left(world, name, failed, before, None)
    mended = world.run("provision", name, world.add_spec(name))
    assert (mended.status, mended.environment_status) == ("succeeded", "ready")
    assert mended.counts == Counts(add=1, destroy=1)


def test_a_ready_environment_that_fails_is_degraded(world: World, name: str) -> None:
    """What was ready is not called failed; the next apply converges."""
    world.make(name, data={"queue": {}})
    failed = world.run("provision", name, world.add_spec(name, rehearsal={"fail": ["media"]}))
    assert (failed.status, failed.environment_status) == ("failed", "degraded")
    assert world.status(name) == "degraded"
    assert "terraform_data.media" in failed.error
    mended = world.run("provision", name, world.add_spec(name))
    assert (mended.environment_status, world.parts(name)) == ("ready", list(PARTS))


def test_every_step_of_provisioning_can_fail(world: World, name: str) -> None:
    """Before and after its effect; then an undisturbed run makes the environment ready."""
    version = world.add_spec(name)
    every_step_can_fail(world, "provision", name, version, PROVISION)
    last = world.run("provision", name, version)
    assert (last.environment_status, world.read(name).generation) == ("ready", 1)
    assert world.parts(name) == list(PARTS)


def test_every_step_of_provisioning_can_repeat(world: World, name: str) -> None:
    """A second apply of the same plan is refused by Terraform, everything else is done again to no effect."""
    every_step_can_repeat(world, "provision", name, world.add_spec(name), PROVISION)


def test_every_step_of_a_plan_can_fail_and_repeat(world: World, name: str) -> None:
    """A plan run that fails changes nothing, and leaves no saved plan in the account."""
    version = world.add_spec(name)
    every_step_can_fail(world, "plan", name, version, PLAN)
    assert world.observe(name)["plans"] == []
    every_step_can_repeat(world, "plan", name, version, PLAN)
    assert len(world.observe(name)["plans"]) == 1


def test_a_plan_that_cannot_be_recorded_is_not_kept(world: World, name: str) -> None:
    """Between the object in the account and its row in the ledger the run fails: the undo removes the object."""
    with world.faults.order(name, "save_plan", "middle"):
        run = world.run("plan", name, world.add_spec(name))
    assert (run.status, run.environment_status) == ("failed", None)
    assert [(step.name, step.outcome) for step in world.steps(run.run_id)] == [("save_plan", "undone")]
    assert world.observe(name)["plans"] == []


def test_a_failed_run_can_be_tried_again_in_prefect(world: World, name: str) -> None:
    """Prefect's Retry is a second attempt of the same run: the plan that was undone is there again."""
    with world.faults.order(name, "save_plan", "end"):
        failed = world.run("plan", name, world.add_spec(name))
    assert (failed.status, failed.attempt, world.observe(name)["plans"]) == ("failed", 1, [])
    again = world.retry("plan", failed.run_id)
    assert (again.run_id, again.status, again.attempt) == (failed.run_id, "succeeded", 2)
    assert again.report is not None
    assert world.observe(name)["plans"] == [f"plans/{name}/{again.report['plan_id']}/{again.run_id}"]


def test_the_plan_that_was_shown_is_the_plan_that_is_applied(world: World, name: str) -> None:
    """The apply makes no plan of its own; the run has the actor of its request, and one without has `prefect-ui`."""
    version = world.add_spec(name)
    plan_id = world.plan(name, version)
    assert world.parts(name) == []
    assert world.status(name) is None
    request_id = world.ask(Operation.PROVISION, name, version, plan_id, "alice")
    run = world.run("provision", name, version, request_id)
    assert (run.status, run.actor, run.request_id) == ("succeeded", "alice", request_id)
    assert world.parts(name) == list(PARTS)
    rows = world.ask_prefect("/task_runs/filter", flow_runs={"id": {"any_": [run.run_id]}})
    assert "plan_infrastructure" not in {row["name"].rpartition("-")[0] for row in rows}
    planned, shown = world.ledger.list_runs(name)[1], world.ledger.read_plan(plan_id)
    assert planned.actor == "prefect-ui"
    assert shown is not None
    applied = find_step(world, run, "apply_infrastructure").arguments["changes"]
    assert Changes.model_validate(applied).digest() == shown.digest


def test_a_plan_that_is_unknown_expired_or_of_another_environment_is_refused(world: World, name: str) -> None:
    """Each refusal says how to get a plan, and changes nothing."""
    version, other = world.add_spec(name), f"{name}-b"
    earlier, foreign = uuid.uuid4().hex[:12], uuid.uuid4().hex[:12]
    begun = world.run("plan", name, version)
    past = datetime.now(UTC) - timedelta(seconds=1)
    world.ledger.add_plan(earlier, name, version, begun.run_id, "", "{}", "", past)
    world.ledger.add_plan(foreign, other, world.add_spec(other), begun.run_id, "", "{}", "", past + timedelta(days=1))
    before = world.observe(name)
    for plan_id in ("unknown", earlier, foreign):
        run = world.run("provision", name, version, world.ask(Operation.PROVISION, name, version, plan_id, "alice"))
        assert (run.status, run.environment_status) == ("refused", None)
        assert plan_id in run.error
        assert run.report is not None
        assert f"terrarium env plan {name}" in run.report["resolution"]
        assert world.observe(name) == before
    assert world.status(name) is None


def test_an_apply_outlives_a_restart_of_the_database(world: World, name: str) -> None:
    """What the journal could not write it writes later: the apply goes on, and no event is missing."""
    with world.faults.order(name, "journal", "middle", "away"):
        run = world.run("provision", name, world.add_spec(name))
    assert (run.status, run.environment_status) == ("succeeded", "ready"), run.error
    rows = [(row.kind, row.address) for row in world.ledger.read_journal(run.run_id)]
    assert len(rows) == len(set(rows)) == 3 * len(PARTS)
    assert find_step(world, run, "apply_infrastructure").detail["events"] == len(rows)


def test_an_environment_does_not_move(world: World, name: str) -> None:
    """Another region would leave everything behind where nobody looks for it: refused, for a plan too."""
    world.make(name, data={})
    before = world.observe(name)
    version = world.add_spec(name, data={}, region="eu-west-1")
    for word in ("plan", "provision"):
        run = world.run(word, name, version)
        assert (run.status, run.environment_status) == ("refused", None)
        assert "eu-central-1" in run.error
        assert "eu-west-1" in run.error
    assert (world.observe(name), world.status(name)) == (before, "ready")


def test_a_run_without_a_spec_is_on_record(world: World, name: str) -> None:
    """No file and no such version: the run failed, says why, and the ledger knows no such environment."""
    for version, reason in ((None, f"no file environments/{name}.yaml"), (7, f"no version 7 of a spec for {name}")):
        run = world.run("provision", name, version)
        assert (run.status, run.environment_status, run.spec_version) == ("failed", None, None)
        assert reason in run.error
    assert world.status(name) is None
    assert world.ledger.read_generation(name) is None


def test_a_cancelled_apply_ends_in_order(world: World, name: str) -> None:
    """Terraform is interrupted once, writes its state and releases its lock; the run is recorded as cancelled."""
    queued = world.start("provision", name, world.add_spec(name, rehearsal={"slow_seconds": {"logs": 120}}))
    wait_for_slow_part(world, queued.run_id, "logs")
    world.prefect.cancel_run(queued.run_id)
    run = wait_for_end(world, queued.run_id)
    assert (run.status, run.environment_status) == ("cancelled", "failed"), run.error
    left = world.observe(name)
    assert "terraform_data.key" in left["resources"]
    assert (left["is_locked"], world.is_clean(run.run_id)) == (False, True)
    wait_for("Prefect says so too", lambda: world.prefect.read_run(queued.run_id).status == "cancelled")  # type: ignore[union-attr]  # it is there
    again = world.run("provision", name, world.add_spec(name))
    assert (again.environment_status, world.parts(name)) == ("ready", list(PARTS))


def test_a_killed_apply_ends_in_order_and_the_next_run_converges(world: World, name: str) -> None:
    """SIGKILL of the flow's process: Terraform ends by itself, writes its state and releases its lock."""
    queued = world.start("provision", name, world.add_spec(name, rehearsal={"slow_seconds": {"logs": 120}}))
    os.kill(wait_for_slow_part(world, queued.run_id, "logs"), signal.SIGKILL)
    wait_for("Terraform has released its lock", lambda: not world.observe(name)["is_locked"])
    assert "terraform_data.key" in world.observe(name)["resources"]
    wait_for("Prefect sees the crash", lambda: world.prefect.read_run(queued.run_id).status == "crashed")  # type: ignore[union-attr]  # it is there
    assert world.status(name) == "provisioning"
    again = world.run("provision", name, world.add_spec(name))
    assert (again.environment_status, world.status(name), world.parts(name)) == ("ready", "ready", list(PARTS))


def test_a_lock_of_a_killed_terraform_is_broken_by_the_next_run(world: World, name: str) -> None:
    """Flow and Terraform are killed together, so the lock stays; its holder is provably dead: the next run goes on."""
    queued = world.start("provision", name, world.add_spec(name, rehearsal={"slow_seconds": {"logs": 120}}))
    flow = psutil.Process(wait_for_slow_part(world, queued.run_id, "logs"))
    flow.suspend()
    for process in [*flow.children(recursive=True), flow]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait_for("Prefect sees the crash", lambda: world.prefect.read_run(queued.run_id).status == "crashed")  # type: ignore[union-attr]  # it is there
    assert world.observe(name)["is_locked"]
    again = world.run("provision", name, world.add_spec(name))
    assert (again.environment_status, world.parts(name)) == ("ready", list(PARTS))
    assert not world.observe(name)["is_locked"]
