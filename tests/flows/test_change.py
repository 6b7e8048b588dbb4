"""Changes of a live environment: told with reasons, refused where they lose data or are stale, on pinned modules."""

import shutil
from pathlib import Path

import pytest

from blocks.module_archive import STACKS, digest_modules, pack_modules
from domain.status import Operation
from tests.flow_world import PARTS, World

CLOUD = "terraform_data"


def test_a_plan_tells_why(world: World, name: str) -> None:
    """The attribute that differs, before and after; what is added needs no reason."""
    world.make(name, data={"queue": {"retention_days": 4}})
    version = world.add_spec(name, data={"queue": {"retention_days": 9}, "media": {}})
    items = {item.address: item for item in world.read_plan(world.plan(name, version)).items}
    queue = items["terraform_data.queue[0]"]
    told = {(one.key, one.before, one.after) for one in queue.differences}
    assert (queue.action, ("input.retention_days", "4", "9") in told) == ("change", True)
    assert (items["terraform_data.media[0]"].action, items["terraform_data.media[0]"].differences) == ("add", ())


def test_the_same_plan_again_has_the_same_id(world: World, name: str) -> None:
    """And may be applied by either run's word; another spec has another id."""
    world.make(name, data={"queue": {}})
    version = world.add_spec(name)
    first, second = world.plan(name, version), world.plan(name, version)
    assert first == second
    assert world.apply_plan(name, version, first).status == "succeeded"
    assert world.plan(name, world.add_spec(name, data={"media": {}})) != first


def test_a_plan_whose_spec_has_changed_is_refused(world: World, name: str) -> None:
    """Somebody stored another spec since: the refusal names the key, and nothing happens."""
    world.make(name, data={"queue": {}})
    wanted = world.add_spec(name)
    plan_id = world.plan(name, wanted)
    world.add_spec(name, cost_centre="TB-9")
    before = world.observe(name)
    run = world.apply_plan(name, wanted, plan_id)
    assert (run.status, run.environment_status) == ("refused", None)
    assert f"its spec has changed since plan {plan_id} was made" in run.error
    assert "cost_centre" in run.error
    assert (world.observe(name), world.status(name)) == (before, "ready")


def test_a_plan_whose_state_has_moved_is_refused(world: World, name: str) -> None:
    """Another apply came between: the refusal names it, and nothing happens."""
    world.make(name, data={"queue": {}})
    wanted = world.add_spec(name)
    plan_id = world.plan(name, wanted)
    between = world.run("provision", name, wanted)
    before = world.observe(name)
    run = world.apply_plan(name, wanted, plan_id)
    assert (run.status, run.environment_status) == ("refused", None)
    assert f"its state has changed since plan {plan_id} was made, by provision run {between.run_id}" in run.error
    assert (world.observe(name), world.status(name)) == (before, "ready")


def test_a_loss_beyond_the_limit_is_refused(world: World, name: str) -> None:
    """The refusal has its numbers, no step has begun, and the environment stays ready."""
    world.make(name)
    before = world.observe(name)
    protection = {"teardown": "allowed", "deletion_limit": 1, "final_snapshot": False, "keep_media": False}
    run = world.run("provision", name, world.add_spec(name, data={"media": {}}, protection=protection))
    assert (run.status, run.environment_status) == ("refused", None)
    assert "delete or replace 2 resources, limit 1" in run.error
    assert world.steps(run.run_id) == []
    assert (world.observe(name), world.status(name)) == (before, "ready")


def test_a_loss_of_data_is_refused_until_it_is_named(world: World, name: str) -> None:
    """The queue goes only for a request that names it."""
    world.make(name)
    wanted = world.add_spec(name, data={"media": {}})
    before = world.observe(name)
    refused = world.run("provision", name, wanted)
    assert (refused.status, refused.environment_status) == ("refused", None)
    assert "terraform_data.queue[0] would be destroyed" in refused.error
    assert world.observe(name) == before
    request_id = world.ask(Operation.PROVISION, name, wanted, None, "alice")
    world.ledger.add_replacements(request_id, name, ["terraform_data.queue[0]"], "alice")
    assert world.run("provision", name, wanted, request_id).status == "succeeded"
    assert world.parts(name) == [part for part in PARTS if part not in ("queue", "dead_letters")]


@pytest.fixture
def older(world: World, tmp_path: Path) -> str:
    """The digest of modules of an earlier version, which the account keeps: they made one resource more."""
    stacks = tmp_path / "terraform" / "stacks"
    shutil.copytree(STACKS / CLOUD, stacks / CLOUD)
    (stacks / CLOUD / "obsolete.tf").write_text(f'resource "terraform_data" "obsolete" {{}} # {tmp_path.name}')
    digest = digest_modules(CLOUD, stacks)
    world.account.put_modules(digest, pack_modules(CLOUD, stacks))
    return digest


def test_an_environment_keeps_its_modules_until_it_is_upgraded(world: World, name: str, older: str) -> None:
    """An apply works with the modules that it was made with; an upgrade shows what the new ones change."""
    version = world.make(name)
    first = world.ledger.read_module_pin(name)
    assert first is not None
    assert first.digest == digest_modules(CLOUD)
    world.ledger.add_module_pin(name, 1, older, "", first.run_id)
    assert world.run("provision", name, version).status == "succeeded"
    assert world.parts(name) == sorted([*PARTS, "obsolete"])
    plan_id = world.plan(name, version, upgrade=True)
    items = world.read_plan(plan_id).items
    assert [(item.address, item.action) for item in items] == [("terraform_data.obsolete", "destroy")]
    pinned = world.ledger.read_module_pin(name)
    assert pinned is not None
    assert pinned.digest == older
    assert world.apply_plan(name, version, plan_id).status == "succeeded"
    upgraded = world.ledger.read_module_pin(name)
    assert upgraded is not None
    assert (upgraded.digest, world.parts(name)) == (first.digest, list(PARTS))


def test_an_archive_that_somebody_changed_is_not_used(world: World, name: str, older: str) -> None:
    """Modules are code that runs with the account's rights: their digest is checked."""
    version = world.make(name)
    world.account.put_modules(older, pack_modules(CLOUD))
    world.ledger.add_module_pin(name, 1, older, "", world.ledger.list_runs(name)[0].run_id)
    before = world.observe(name)
    run = world.run("provision", name, version)
    assert run.status == "failed"
    assert "somebody changed the archive" in run.error
    assert world.observe(name) == before
