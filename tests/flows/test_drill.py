"""Drills and failovers of a real pair through the real flows; the crash matrix of every step is cut here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blocks.kept_servers import start_server
from blocks.postgres.replication import read_state
from domain.pair import other
from tests.drill_world import GRACEFUL, UNGRACEFUL, DrilledEnvironment, Observer, make_drilled, recount
from tests.flow_world import World
from tests.polling import wait_for

#: What is left where a run died: before the promotion was begun the old primary is it again, after that the new one.
BACK = ("start_probe", "break_primary", "fence_primary")


@pytest.fixture(scope="module")
def drilled(world: World) -> Iterator[DrilledEnvironment]:
    """One environment with a pair, which every test leaves for the next."""
    with make_drilled(world, "drilled") as found:
        yield found


@pytest.mark.parametrize(("mode", "steps"), [("graceful", GRACEFUL), ("ungraceful", UNGRACEFUL)])
def test_a_drill_is_measured_by_its_client(
    drilled: DrilledEnvironment, tmp_path: Path, mode: str, steps: tuple[str, ...]
) -> None:
    """The roles change, no row differs, and somebody else counts the same numbers from the log and the server."""
    before = drilled.primary()
    observer = Observer(drilled.pair.variables("app"), tmp_path / "observed")
    try:
        observer.wait()
        run = drilled.drill(mode)
        seen = observer.stop()
    finally:
        observer.kill()
    assert run.status == "succeeded", run.error
    assert [step.name for step in drilled.world.steps(run.run_id)] == list(steps)
    report = (run.report or {})["drill"]
    assert (report["status"], report["diverged_rows_after_failback"]) == ("passed", 0), report
    assert (report["old_primary"], report["new_primary"]) == (before, other(before))
    assert report["rto_seconds"] > report["detection_seconds"] >= 0
    assert report["compared_rows"] >= 2000
    counted = recount(drilled.pair, drilled.primary(), report["probe_log"], run.run_id)
    assert counted == {key: pytest.approx(report[key], abs=1e-5) for key in counted}
    assert seen["gap_seconds"] == pytest.approx(report["rto_seconds"], abs=1.0)
    drilled.check_order()


@pytest.mark.parametrize("fault", ["frozen", "cut_off"])
def test_a_primary_that_is_still_alive_is_fenced(drilled: DrilledEnvironment, tmp_path: Path, fault: str) -> None:
    """A client that is pinned to the old primary has nothing acknowledged any more once the new one takes writes."""
    old = drilled.primary()
    pinned = Observer(drilled.pair.variables("app", old), tmp_path / "pinned")
    try:
        pinned.wait()
        run = drilled.drill("ungraceful", fault)
        acknowledged = pinned.read().values()
    finally:
        pinned.kill()
    assert run.status == "succeeded", run.error
    details = {step.name: step.detail for step in drilled.world.steps(run.run_id)}
    promoted_at = details["promote_standby"]["promoted_at"]
    assert details["fence_primary"]["fenced_at"] < promoted_at
    assert acknowledged
    assert [at for at in acknowledged if at > details["fence_primary"]["fenced_at"]] == []
    drilled.check_order()


#: `make prove PIPELINE=drill` kills every step at both moments.
FAILS = (("break_primary", "end"), ("promote_standby", "begin"), ("switch_name", "begin"), ("compare_sides", "end"))


@pytest.mark.parametrize(("step", "moment"), FAILS)
def test_a_drill_that_fails_brings_the_environment_back(drilled: DrilledEnvironment, step: str, moment: str) -> None:
    """Whatever step fails, before or after its effect: one writable primary, a standby behind it, and it is ready."""
    before = drilled.primary()
    with drilled.world.faults.order(drilled.name, step, moment):
        run = drilled.drill()
    assert (run.status, run.environment_status) == ("failed", None), run.error
    assert drilled.world.status(drilled.name) == "ready"
    drilled.check_order()
    is_back = step in BACK or (step, moment) == ("promote_standby", "begin")
    assert drilled.primary() == (before if is_back else other(before))


KILLED = (
    ("drill", "break_primary", "end"),
    ("drill", "promote_standby", "end"),
    ("drill", "rejoin_standby", "begin"),
    ("failover", "fence_primary", "end"),
    ("failover", "stop_primary", "begin"),
)


@pytest.mark.parametrize(("word", "step", "moment"), KILLED)
def test_a_run_that_is_killed_is_put_in_order_by_the_sweeper(
    drilled: DrilledEnvironment, word: str, step: str, moment: str
) -> None:
    """SIGKILL in the middle of an outage: never two writable primaries; a drill goes back, a failover forward.

    One that was killed before it touched a living primary leaves it.
    """
    before = drilled.primary()
    parameters = {"mode": "ungraceful"} if word == "drill" else {"reason": "a test"}
    run = drilled.kill_at(word, step, moment, **parameters)
    assert (run.status, run.environment_status) == ("crashed", None), run.error
    assert drilled.primary() == (before if step in ("break_primary", "stop_primary") else other(before))
    assert drilled.world.status(drilled.name) == "ready"


LOST = {"reason": "a test", "accept_loss": True}


def test_a_failover_that_died_before_its_first_step_is_finished(drilled: DrilledEnvironment) -> None:
    """The primary was lost already, and what was asked for stands in the ledger: the sweeper promotes the other one."""
    old = drilled.lose_primary()
    run = drilled.kill_at("failover", "fence_primary", "begin", **LOST)
    assert run.status == "crashed"
    assert [step.outcome for step in drilled.world.steps(run.run_id)] == ["undone"]
    assert drilled.primary() == other(old)
    assert drilled.world.status(drilled.name) == "ready"


def test_who_asks_again_meanwhile_does_not_go_back(drilled: DrilledEnvironment) -> None:
    """The second failover finds the first one dead and finishes it; then it is refused, for a primary is there."""
    old = drilled.lose_primary()
    first = drilled.kill("failover", "fence_primary", "begin", **LOST)
    second = drilled.run("failover", **LOST)
    assert (second.status, drilled.world.steps(second.run_id)) == ("refused", [])
    assert f"after this one was asked for, and {other(old)} is the primary" in (second.error or "")
    assert drilled.read_ended(first).status == "crashed"
    assert drilled.primary() == other(old)
    drilled.check_order()
    retried = drilled.world.retry("failover", first)
    assert (retried.status, drilled.primary()) == ("refused", other(old))


def test_a_failover_that_ended_well_is_not_unwound_by_its_retry(drilled: DrilledEnvironment) -> None:
    """Its new primary is lost later, and somebody presses Retry: refused, and the standby that is left is untouched."""
    run = drilled.run("failover", reason="a move")
    lost = drilled.lose_primary()
    retried = drilled.world.retry("failover", run.run_id)
    assert (run.status, retried.status) == ("succeeded", "refused")
    left = read_state(drilled.pair).of(other(lost))
    assert (left.is_primary, left.is_fenced) == (False, False)
    assert drilled.run("failover", **LOST).status == "succeeded"
    assert drilled.primary() == other(lost)
    drilled.check_order()


def test_a_failover_that_somebody_cancelled_is_not_finished(drilled: DrilledEnvironment) -> None:
    """It died before its first step, and Prefect was told to cancel it: nothing is touched, the next one converges."""
    old = drilled.lose_primary()
    run_id = drilled.kill("failover", "fence_primary", "begin", **LOST)
    drilled.world.prefect.cancel_run(run_id)
    drilled.world.sweep()
    run = drilled.read_ended(run_id)
    assert (run.status, drilled.world.steps(run_id)) == ("crashed", [])
    assert "it was cancelled: it was not finished" in (run.report or {})["resolution"]
    assert read_state(drilled.pair).primaries == ()
    assert drilled.run("failover", **LOST).status == "succeeded"
    assert drilled.primary() == other(old)
    drilled.check_order()


def test_a_primary_that_came_back_is_kept(drilled: DrilledEnvironment) -> None:
    """It answers again when the sweeper looks: what the dead failover was asked for is no longer needed."""
    old = drilled.lose_primary()
    run_id = drilled.kill("failover", "fence_primary", "begin", **LOST)
    start_server(drilled.pair.stack, drilled.pair.name(old))
    wait_for("it is the primary again", drilled.is_whole, 60)
    drilled.world.sweep()
    assert drilled.read_ended(run_id).status == "crashed"
    assert (drilled.world.steps(run_id), drilled.primary()) == ([], old)


def test_a_failover_is_refused_where_it_may_lose_something(drilled: DrilledEnvironment) -> None:
    """The primary is gone: the run says what may be lost; with the loss accepted it goes on, and the pair is whole."""
    old = drilled.lose_primary()
    refused = drilled.run("failover", reason="a test")
    assert (refused.status, refused.environment_status) == ("refused", None)
    assert "may lose writes: the primary does not answer" in (refused.error or "")
    run = drilled.run("failover", **LOST)
    assert run.status == "succeeded", run.error
    assert drilled.primary() == other(old)
    drilled.check_order()


def test_a_failover_of_a_living_primary_loses_nothing(drilled: DrilledEnvironment) -> None:
    """It is stopped in order: nothing has to be accepted, and a hold or a window keeps nobody."""
    old = drilled.primary()
    drilled.write(-1)
    run = drilled.run("failover", reason="a move")
    assert run.status == "succeeded", run.error
    assert drilled.primary() == other(old)
    assert -1 in drilled.read()
    drilled.check_order()


def test_readiness_is_told_and_drills_are_scheduled(world: World, drilled: DrilledEnvironment) -> None:
    """The evaluation fails as an alarm while no backup is proved, touches nothing, and leaves its artifact."""
    before = read_state(drilled.pair)
    answer = world.process.ask("run", "evaluate", {}, None)
    assert answer["state"] == "FAILED"
    assert "drilled: there is no proved backup" in answer["message"]
    assert read_state(drilled.pair).primaries[0].timeline == before.primaries[0].timeline
    artifacts = world.ask_prefect("/artifacts/latest/filter", artifacts={"key": {"any_": ["recovery-drilled"]}})
    assert "the recovery plan would work now" in artifacts[0]["data"]


def test_a_scheduled_drill_is_a_schedule_of_its_deployment(world: World, name: str) -> None:
    """The evaluation makes it as the file says, changes it with the file, and removes it with the environment."""
    drill = {"schedule": "0 4 * * WED", "timezone": "Europe/Berlin", "mode": "ungraceful"}
    recovery = {"rto": "8h", "rpo": "1d", "backup_max_age": "2d"}
    world.make(name, recovery=recovery | {"drill": drill})
    world.process.ask("run", "evaluate", {}, None)
    found = read_schedule(world, name)
    assert found["schedule"]["cron"] == "0 4 * * WED"
    assert found["schedule"]["timezone"] == "Europe/Berlin"
    assert found["parameters"] == {"environment": name, "mode": "ungraceful"}
    world.process.ask("run", "evaluate", {}, None)
    assert read_schedule(world, name) == found
    version = world.add_spec(name, recovery=recovery | {"drill": drill | {"schedule": "30 5 * * *"}})
    assert world.run("provision", name, version).status == "succeeded"
    world.process.ask("run", "evaluate", {}, None)
    assert read_schedule(world, name)["schedule"]["cron"] == "30 5 * * *"
    assert world.run("teardown", name).status == "succeeded"
    world.process.ask("run", "evaluate", {}, None)
    assert read_schedule(world, name) == {}


def read_schedule(world: World, name: str) -> dict[str, Any]:
    """The schedule of an environment's drills, as Prefect has it."""
    (deployment,) = world.ask_prefect("/deployments/filter", deployments={"name": {"any_": ["drill"]}})
    return next((one for one in deployment["schedules"] if one["slug"] == name), {})
