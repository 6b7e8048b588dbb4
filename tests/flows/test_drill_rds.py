"""Drills of an RDS database through the real flows, on the emulator: a copy is promoted, and all is as before."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from blocks.ledger import RunRow
from blocks.rds import delete_instance, list_instances
from blocks.route53 import find_zone, list_records
from domain.rds import name_instance, name_replica
from tests.flow_world import World
from tests.flows.test_pair import PLACE
from tests.integration.conftest import REGION
from tests.polling import wait_for
from tests.rds_database import make_database, make_replica

RECOVERY_REGION = "eu-west-1"
ZONE = "t-drills.example"
SPEC: dict[str, Any] = PLACE | {
    "data": {"database": {"version": "16", "has_replica": True}},
    "load_balancer": True,
    "dns": {"zone": ZONE},
}
STEPS = [
    *("create_drill_replica", "create_drill_record", "promote_drill_replica", "switch_drill_record"),
    *("verify_rds_drill", "delete_drill_record", "delete_drill_replica", "publish_rds_drill_report"),
]


@pytest.fixture(scope="module")
def ready(world: World) -> Iterator[str]:
    """An environment that is ready, with the instances and the zone that `terraform_data` does not make."""
    name = "t-rds-drills"
    world.make(name, **SPEC)
    make_database(world.account, name_instance(name))
    make_replica(world.account, name_replica(name), name_instance(name), RECOVERY_REGION)
    world.account.client("route53").create_hosted_zone(Name=ZONE, CallerReference="1")
    yield name
    delete_instance(world.account, RECOVERY_REGION, name_replica(name))
    delete_instance(world.account, REGION, name_instance(name))
    assert world.run("teardown", name).status == "succeeded"


def drill(world: World, name: str, mode: str = "graceful") -> RunRow:
    """A drill to its end."""
    return world._read_ended(world.process.ask("run", "drill", {"environment": name, "mode": mode}, None))


def look(world: World) -> str:
    """Every instance of both regions, and every record of the zone."""
    found = [list_instances(world.account, region) for region in (REGION, RECOVERY_REGION)]
    records = list_records(world.account, find_zone(world.account, ZONE))
    return json.dumps([[one.model_dump(mode="json") for one in part] for part in (*found, records)], indent=1)


def test_an_emulated_drill_is_incomplete(world: World, ready: str) -> None:
    """It promotes and switches, names what it did not measure, is never passed, and leaves everything as it was."""
    before = look(world)
    run = drill(world, ready)
    assert (run.status, run.error, run.environment_status) == ("succeeded", "", None)
    assert [step.name for step in world.steps(run.run_id)] == STEPS
    report = (run.report or {})["drill"]
    assert (report["status"], report["promotion_seconds"], report["record_seconds"]) == ("incomplete", None, None)
    assert {"rto_seconds", "rpo_rows", "diverged_rows_after_failback", "clients"} <= report["not_measured"].keys()
    details = {step.name: step.detail for step in world.steps(run.run_id)}
    assert details["verify_rds_drill"] == {"faults": []}
    assert details["switch_drill_record"]["target"]
    assert look(world) == before
    assert "Not measured" in world.read_artifact(f"drill-{ready}")


FAILS = [(step, "end") for step in STEPS] + [("promote_drill_replica", "begin"), ("delete_drill_record", "begin")]


@pytest.mark.parametrize(("step", "moment"), FAILS)
def test_every_step_can_fail(world: World, ready: str, step: str, moment: str) -> None:
    """Whatever step fails, before or after its effect: records and instances are as before, and it is ready."""
    before = look(world)
    with world.faults.order(ready, step, moment):
        run = drill(world, ready)
    assert (run.status, run.environment_status) == ("failed", None), run.error
    assert look(world) == before
    assert world.status(ready) == "ready"


@pytest.mark.parametrize("step", ["promote_drill_replica", "switch_drill_record"])
def test_a_killed_drill_is_put_back_by_the_sweeper(world: World, ready: str, step: str) -> None:
    """SIGKILL after the promotion, and after the switch: the copy and its name go."""
    before = look(world)
    with world.faults.order(ready, step, "end", "hang"):
        world.process.tell("run", "drill", {"environment": ready, "mode": "graceful"}, None)
        wait_for("the step has had its effect", world.faults.is_hanging, 120)
        run_id = world.ledger.list_runs(ready)[0].run_id
        assert look(world) != before
        world.process.kill()
    world.sweep()
    run = world.ledger.read_run(run_id)
    assert run is not None
    assert (run.status, run.environment_status) == ("crashed", None)
    assert look(world) == before
    assert world.status(ready) == "ready"


def test_what_cannot_be_drilled_is_refused(world: World, ready: str, name: str) -> None:
    """No fault can be brought on RDS; an environment without a replica is told what would have to be there."""
    assert drill(world, ready, "ungraceful").status == "refused"
    world.make(name, **PLACE, data={"database": {"version": "16"}})
    refused = drill(world, name)
    assert refused.status == "refused"
    assert "there is no RDS instance" in refused.error
    world.run("teardown", name)
