"""A database pair as a step of provisioning and teardown, through the real flows on the real stack."""

from pathlib import Path
from typing import Any

from blocks.kept_servers import list_kept
from blocks.ledger import RunRow
from blocks.postgres.pair_files import Pair, open_pair, pair_folder, read_record
from blocks.postgres.replication import read_primary, read_state, switch_wal
from blocks.postgres.session import connect
from blocks.postgres_binaries import find_postgres_binaries
from blocks.wal_archive import list_segments
from domain.pair import NODES, ROLES, other
from tests.canary import Places
from tests.flow_steps import every_step_can_fail, every_step_can_repeat
from tests.flow_world import World
from tests.polling import wait_for

ROWS = 2000
PAIR_STEPS = ("create_pair", "fill_pair", "verify_pair")
DATABASE = {"version": "16", "provider": "postgres", "example_rows": ROWS}
PLACE: dict[str, Any] = {"recovery_region": "eu-west-1", "network": {"zones": 2, "nat_gateways": 1}}
SPEC: dict[str, Any] = PLACE | {"data": {"database": DATABASE}}


def find_pair(world: World, name: str) -> Pair:
    """The pair that a run has made."""
    return open_pair(world.stack.record, name, find_postgres_binaries())


def count_bookings(world: World, name: str, at_standby: bool = False) -> int:
    """As the application sees them, or as the standby has them."""
    pair = find_pair(world, name)
    at = other(read_primary(pair)) if at_standby else None
    with connect(pair, "app", at) as session:
        row = session.execute("SELECT count(*) FROM bookings").fetchone()
        assert row is not None
        return int(row[0])


def has_nothing(world: World, name: str) -> bool:
    """No folder and no server of a pair is left."""
    is_kept = any(server.owner == name for server in list_kept(world.stack.record))
    return not is_kept and not pair_folder(world.stack.record, name).exists()


def list_archive(world: World, name: str) -> list[str]:
    """The segments of all pairs of that name, which outlive them."""
    found = list_segments(world.account.client("s3"), world.account.vault_bucket, f"wal/{name}/")
    return [segment.rpartition("/")[2] for segment in found]


def names(world: World, run: RunRow) -> list[str]:
    """The steps of a run."""
    return [step.name for step in world.steps(run.run_id)]


def test_an_environment_gets_its_pair_and_loses_it_with_its_teardown(world: World, name: str) -> None:
    """Made, filled, verified, told in the report; applied again nothing happens; torn down nothing is left."""
    version = world.add_spec(name, **SPEC)
    plan = world.run("plan", name, version)
    assert plan.report is not None
    assert plan.report["database"] == {"applying would do": ", ".join(PAIR_STEPS)}
    run = world.run("provision", name, version)
    assert (run.status, run.environment_status, run.error) == ("succeeded", "ready", "")
    assert names(world, run) == [
        "pin_modules", "apply_infrastructure", "verify_infrastructure", *PAIR_STEPS, "publish_report"
    ]  # fmt: skip
    assert count_bookings(world, name) == count_bookings(world, name, at_standby=True) == ROWS * 600 // 1000
    assert run.report is not None
    port = find_pair(world, name).record.ports.gateway
    assert f"port={port}" in run.report["database"]["connect"]
    assert "password" not in run.report["database"]["connect"]
    again = world.run("provision", name, version)
    assert (again.status, names(world, again)) == ("succeeded", ["publish_report"])
    segment = switch_wal(find_pair(world, name), "a")
    wait_for("its WAL is in the vault", lambda: segment in list_archive(world, name))
    gone = world.run("teardown", name)
    assert (gone.status, names(world, gone)[0]) == ("succeeded", "delete_pair")
    assert has_nothing(world, name)
    assert segment in list_archive(world, name)


def test_every_step_of_a_pair_can_fail(world: World, name: str) -> None:
    """Until it is ready a failed run takes it away again; then it holds data, and stays."""
    version = world.add_spec(name, **SPEC)
    for step in PAIR_STEPS:
        every_step_can_fail(world, "provision", name, version, (step,))
        assert has_nothing(world, name) == (step != "verify_pair"), step
    assert count_bookings(world, name) == ROWS * 600 // 1000
    last = world.run("provision", name, version)
    assert (last.status, names(world, last)[-1]) == ("succeeded", "publish_report")
    assert world.run("teardown", name).status == "succeeded"
    assert has_nothing(world, name)


def test_every_step_of_a_pair_can_repeat(world: World, name: str) -> None:
    """Made, filled and verified twice, its rows are there once; removed twice, it is gone."""
    version = world.add_spec(name, **SPEC)
    steps = ("pin_modules", "apply_infrastructure", "verify_infrastructure", *PAIR_STEPS, "publish_report")
    every_step_can_repeat(world, "provision", name, version, steps)
    assert count_bookings(world, name) == ROWS * 600 // 1000
    removal = ("delete_pair", "destroy_infrastructure", "verify_removal", "publish_removal_report")
    every_step_can_repeat(world, "teardown", name, None, removal)
    assert has_nothing(world, name)


def test_a_change_that_fails_keeps_the_data(world: World, name: str) -> None:
    """The delay is changed and the run fails afterwards: degraded, every row is there, the next run converges."""
    world.make(name, **SPEC)
    version = world.add_spec(name, **PLACE, data={"database": DATABASE | {"link_delay_ms": 5, "is_synchronous": True}})
    with world.faults.order(name, "verify_pair", "begin"):
        run = world.run("provision", name, version)
    assert (run.status, run.environment_status) == ("failed", "degraded")
    assert count_bookings(world, name) == ROWS * 600 // 1000
    assert world.run("provision", name, version).environment_status == "ready"
    pair = find_pair(world, name)
    state = read_state(pair)
    assert (state.delay_ms, state.of(read_primary(pair)).synchronous_standbys) == (5, "b")
    assert state.is_whole
    assert names(world, world.run("provision", name, version)) == ["publish_report"]
    world.run("teardown", name)


def test_a_killed_run_leaves_no_half_made_pair(world: World, name: str) -> None:
    """SIGKILL before it was ready: the sweeper takes away what the run brought, and the next run makes it."""
    version = world.add_spec(name, **SPEC)
    with world.faults.order(name, "fill_pair", "begin", "hang"):
        world.process.tell("run", "provision", {"environment": name, "spec_version": version}, None)
        wait_for("the pair is made and not filled", world.faults.is_hanging)
        assert read_record(world.stack.record, name) is not None
        world.process.kill()
    world.sweep()
    assert (world.status(name), has_nothing(world, name)) == ("failed", True)
    assert world.run("provision", name, version).status == "succeeded"
    assert count_bookings(world, name) == ROWS * 600 // 1000
    world.run("teardown", name)


def test_a_pair_with_data_is_not_lost_by_a_change_of_the_file(world: World, name: str) -> None:
    """Taken from the spec, it is refused with the way; the environment can still be torn down, with its pair."""
    world.make(name, **SPEC)
    without = world.add_spec(name, **PLACE, data={})
    run = world.run("provision", name, without)
    assert (run.status, run.environment_status) == ("refused", None)
    assert "whose data would be lost" in run.error
    assert run.report is not None
    assert "--replace pair" in run.report["resolution"]
    assert count_bookings(world, name) == ROWS * 600 // 1000
    assert world.run("teardown", name).status == "succeeded"
    assert has_nothing(world, name)


def drive_recovery(world: World, name: str) -> None:
    """Its backups, drills and a failover, each of them to its end, and one of each that fails."""
    for word, step in (("backup", "take_dump"), ("verify", "restore_and_ask"), ("drill", "switch_name")):
        with world.faults.order(name, step, "end"):
            assert run_recovery(world, word, name).status == "failed"
        ended = run_recovery(world, word, name)
        assert (ended.status, ended.error) == ("succeeded", "")
    ended = run_recovery(world, "failover", name)
    assert (ended.status, ended.error) == ("succeeded", "")


def run_recovery(world: World, word: str, name: str) -> RunRow:
    """A run of one of these flows with what it asks for, to its end."""
    asked = {"drill": {"mode": "ungraceful"}, "failover": {"reason": "a test"}}.get(word, {})
    return world._read_ended(world.process.ask("run", word, {"environment": name, **asked}, None))


def test_the_passwords_of_a_pair_are_in_its_private_files_alone(world: World, name: str) -> None:
    """After every flow about a pair, well and badly ended: in no row, log, artifact, answer, process or other file."""
    version = world.add_spec(name, **SPEC)
    world.plan(name, version)
    with world.faults.order(name, "verify_pair", "end"):
        assert world.run("provision", name, version).status == "failed"
    assert world.run("provision", name, version).status == "succeeded"
    drive_recovery(world, name)
    pair = find_pair(world, name)
    passwords = {role: pair.password(role) for role in ROLES}
    key = (pair.folder / "server.key").read_text().splitlines()[1]
    hits = Places(world.stack, world.account, (name,), untold=frozenset()).find(passwords | {"key": key})
    private = {str(pair.folder / "passwords.json"), str(pair.passfile)}
    private |= {str(pair.server(node).folder / "pgpass") for node in NODES}
    keys = {str(pair.folder / "server.key"), *(str(pair.server(node).data / "server.key") for node in NODES)}
    assert {hit.where for hit in hits} == private | keys
    assert {hit.canary for hit in hits if hit.where.endswith("/a/pgpass")} == {"replicator"}
    assert all(Path(hit.where).stat().st_mode & 0o077 == 0 for hit in hits)
    world.run("teardown", name)
    assert Places(world.stack, world.account, (name,)).find(passwords) == set()
