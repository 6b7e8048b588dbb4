"""Teardown and expiry on Terraform's `terraform_data`, through the real flows on the real stack."""

from datetime import UTC, datetime, timedelta

from domain.changes import Counts
from domain.status import Operation
from tests.flow_steps import every_step_can_fail, every_step_can_repeat
from tests.flow_world import PARTS, World
from tests.polling import wait_for

REMOVAL = ("destroy_infrastructure", "verify_removal", "publish_removal_report")
KEPT_MEDIA = ("copy_media_to_vault", "empty_media")
ALLOWED = {"teardown": "allowed", "deletion_limit": 50, "final_snapshot": False}


def test_an_environment_is_removed_and_made_again(world: World, name: str) -> None:
    """Nothing is left and the ledger says so; made again, it is a new generation with a tag of its own."""
    version = world.make(name)
    run = world.run("teardown", name, request_id=world.ask(Operation.TEARDOWN, name, version, None, "alice"))
    assert (run.status, run.environment_status, run.actor) == ("succeeded", "destroyed", "alice")
    assert run.counts == Counts(destroy=len(PARTS))
    assert [step.name for step in world.steps(run.run_id)] == list(REMOVAL)
    left = world.observe(name)
    assert (left["resources"], left["outputs"], left["is_locked"]) == ({}, {}, False)
    row = world.read(name)
    assert (row.status, row.resources, row.generation) == ("destroyed", 0, None)
    of_run = {"flow_runs": {"id": {"any_": [run.run_id]}}}
    artifacts = {row["key"]: row["data"] for row in world.ask_prefect("/artifacts/filter", **of_run)}
    assert f"{len(PARTS)} resources destroyed" in artifacts[f"report-{name}"]
    again = world.run("provision", name, version)
    assert (again.environment_status, world.read(name).generation) == ("ready", 2)
    assert world.parts(name) == list(PARTS)
    generation = world.ledger.read_generation(name)
    assert generation is not None
    assert generation.origin_run_id == again.run_id


def test_a_removed_environment_is_not_removed_again(world: World, name: str) -> None:
    """Refused, also when somebody has planned to make it again; the plan's generation stays for its apply."""
    version = world.make(name, data={})
    world.run("teardown", name)
    first = world.run("teardown", name)
    world.run("plan", name, version)
    second = world.run("teardown", name)
    for run in (first, second):
        assert (run.status, run.environment_status) == ("refused", None)
        assert f"no environment {name} to remove" in run.error
    assert world.status(name) == "destroyed"


def test_an_unknown_environment_is_not_removed(world: World, name: str) -> None:
    """The refusal is on record with its way out, and makes no environment of that name."""
    run = world.run("teardown", name)
    assert (run.status, run.spec_version, run.report) == (
        "refused", None, {"resolution": "`terrarium env list` shows those that exist."}
    )  # fmt: skip
    assert f"no environment {name} to remove" in run.error
    assert world.status(name) is None


def test_a_protected_environment_is_not_removed(world: World, name: str) -> None:
    """Refused with the way, before any step; it stays ready with everything it has."""
    world.make(name, protection=ALLOWED | {"teardown": "refused", "keep_media": True})
    before = world.observe(name)
    run = world.run("teardown", name)
    assert (run.status, run.environment_status) == ("refused", None)
    assert "protection.teardown: refused" in run.error
    assert run.report is not None
    assert "terrarium env apply" in run.report["resolution"]
    assert world.steps(run.run_id) == []
    assert (world.observe(name), world.status(name)) == (before, "ready")


def test_every_step_of_a_teardown_can_fail(world: World, name: str) -> None:
    """Before and after its effect; then an undisturbed run removes the environment."""
    world.make(name, protection=ALLOWED | {"keep_media": True})
    every_step_can_fail(world, "teardown", name, None, KEPT_MEDIA + REMOVAL)
    last = world.run("teardown", name)
    assert (last.environment_status, world.observe(name)["resources"]) == ("destroyed", {})


def test_every_step_of_a_teardown_can_repeat(world: World, name: str) -> None:
    """There is nothing left to remove the second time."""
    world.make(name, protection=ALLOWED | {"keep_media": True})
    every_step_can_repeat(world, "teardown", name, None, KEPT_MEDIA + REMOVAL)
    assert world.status(name) == "destroyed"


def test_what_a_failed_and_lost_environment_left_is_removed(world: World, name: str) -> None:
    """Neither a provisioning that failed nor an account that forgot keeps an environment in the list for ever."""
    world.run("provision", name, world.add_spec(name, rehearsal={"fail": ["secrets"]}))
    world.ledger.mark_lost(name, "the emulator has restarted")
    assert world.status(name) == "lost"
    run = world.run("teardown", name)
    assert (run.environment_status, world.observe(name)["resources"]) == ("destroyed", {})


def test_a_teardown_that_is_killed_is_finished_by_the_next(world: World, name: str) -> None:
    """SIGKILL after the removal and before its record: the environment is `destroying` until the next run ends it."""
    world.make(name)
    with world.faults.order(name, "destroy_infrastructure", "end", "hang"):
        world.process.tell("run", "teardown", {"environment": name}, None)
        wait_for("the removal is done and not recorded", world.faults.is_hanging)
        world.process.kill()
    assert (world.status(name), world.observe(name)["resources"]) == ("destroying", {})
    assert world.run("teardown", name).environment_status == "destroyed"


def test_a_temporary_environment_warns_once_is_extended_and_expires(world: World, name: str) -> None:
    """One warning for each end; an extension gives it another; when it is over the teardown's deployment is started."""

    def read_notices() -> tuple[datetime | None, datetime | None]:
        row = next(row for row in world.ledger.list_temporary() if row.environment == name)
        return row.warned_for, row.expiring_since

    version = world.add_spec(name, data={}, ttl="2h", ttl_warning="10m")
    made = world.run("provision", name, version)
    assert made.finished_at is not None
    ends_at = world.read(name).expires_at
    assert ends_at is not None
    assert abs(ends_at - made.finished_at - timedelta(hours=2)) < timedelta(seconds=5)
    world.expire()
    assert read_notices() == (None, None)
    for minutes in (5, 8):
        soon = datetime.now(UTC) + timedelta(minutes=minutes)
        world.ledger.add_extension(name, soon, "alice")
        world.expire()
        world.expire()
        assert read_notices() == (soon, None)
        assert world.count_notices(name, "warn", soon) == 1
    world.ledger.add_extension(name, datetime.now(UTC), "alice")
    world.expire()
    wait_for("the worker has removed it", lambda: world.status(name) == "destroyed")
    newest = world.ledger.list_runs(name)[0]
    assert (newest.operation, newest.status, newest.actor) == ("teardown", "succeeded", "ttl")
    world.expire()
    assert len(world.ledger.list_runs(name)) == 2
