"""The proof of drills: 80 killed primaries in four settings, frozen and cut off ones, and a peer beside them.

`make prove PIPELINE=drill`; DRILLS=n for another number of drills in each setting. An observer that has none of our
code sees the same outage and counts the same rows. Patroni runs beside where it and etcd are there.
"""

import os
import statistics
from pathlib import Path
from typing import Any

import pytest

from blocks.ledger import RunRow
from blocks.postgres.replication import read_state
from domain.pair import other
from tests.drill_world import (
    FAILOVER,
    GRACEFUL,
    UNGRACEFUL,
    DrilledEnvironment,
    Observer,
    make_drilled,
    recount,
)
from tests.flow_world import World
from tests.polling import wait_for
from tests.proofs.page import Page
from tests.proofs.patroni_peer import find_patroni, run_patroni_drills

DRILLS = int(os.environ.get("DRILLS", "20"))
PEER_DRILLS = 5
SETTINGS = {
    "asynchronous, 0 ms": (0, False),
    "asynchronous, 50 ms": (50, False),
    "asynchronous, 250 ms": (250, False),
    "synchronous (remote_apply), 50 ms": (50, True),
}
#: Seconds by which the observer's outage may differ, beside one of its round trips.
TOLERANCE = 0.1
LONGEST_MEDIAN = 1.0

pytestmark = pytest.mark.timeout(4 * 3600)


@pytest.fixture(scope="module")
def page() -> Page:
    """The page, which the last test writes."""
    return Page(
        "drill",
        "Drills through the real flow on real PostgreSQL pairs. RTO is the longest time between two acknowledgements "
        "at the client, RPO counts acknowledged rows that are gone. The detection time is a setting "
        "(`TERRARIUM_FAILOVER_DETECTION_MS`) and part of the RTO. The observer is a process with none of our code.",
    )


@pytest.mark.parametrize("setting", SETTINGS)
def test_killed_primaries(world: World, page: Page, tmp_path: Path, setting: str) -> None:
    """Every drill passes; the observer agrees; synchronous commits lose nothing; both sides are equal, each time."""
    delay_ms, is_synchronous = SETTINGS[setting]
    reports = []
    with make_drilled(world, "proved", link_delay_ms=delay_ms, is_synchronous=is_synchronous, rows=10_000) as drilled:
        for number in range(DRILLS):
            reports.append(drill_and_observe(drilled, tmp_path / f"observed-{number}", "killed"))
    rto = [report["rto_seconds"] for report in reports]
    lost = [report["rpo_rows"] for report in reports]
    assert statistics.median(rto) <= LONGEST_MEDIAN, rto
    assert not is_synchronous or sum(lost) == 0
    differences = [one["disagreement"] for one in reports]
    assert max(differences) <= TOLERANCE, differences
    page.add(
        f"{setting}: {DRILLS} drills, kill -9",
        f"RTO {describe(rto)}, of it detection {describe([one['detection_seconds'] for one in reports])}; "
        f"RPO {describe([float(one) for one in lost], 'rows', 0)}, {describe([r['rpo_seconds'] for r in reports])}; "
        f"in doubt {sum(one['in_doubt_rows'] for one in reports)} rows; "
        f"the observer's outage differs, beside one round trip, by {describe(differences)}; its counts of lost rows "
        "and of rows in doubt are the same each time; "
        f"failback: 0 of {sum(one['compared_rows'] for one in reports)} compared rows differ",
    )


def drill_and_observe(drilled: DrilledEnvironment, log: Path, fault: str) -> dict[str, Any]:
    """A drill that an observer watched: its report, and by how much their outages differ."""
    observer = Observer(drilled.pair.variables("app"), log)
    try:
        observer.wait()
        run = drilled.drill("ungraceful", fault)
        seen = observer.stop()
    finally:
        observer.kill()
    assert run.status == "succeeded", run.error
    report = dict((run.report or {})["drill"])
    assert (report["status"], report["diverged_rows_after_failback"]) == ("passed", 0), report
    disagreement = max(0.0, abs(seen["gap_seconds"] - report["rto_seconds"]) - seen["trip_seconds"])
    counted = recount(drilled.pair, drilled.primary(), report["probe_log"], run.run_id)
    assert (counted["rpo_rows"], counted["in_doubt_rows"]) == (report["rpo_rows"], report["in_doubt_rows"])
    drilled.check_order()
    return report | {"disagreement": disagreement, "run_id": run.run_id}


@pytest.mark.parametrize("fault", ["frozen", "cut_off"])
@pytest.mark.parametrize("is_synchronous", [False, True], ids=["asynchronous", "synchronous"])
def test_living_primaries(world: World, page: Page, tmp_path: Path, fault: str, is_synchronous: bool) -> None:
    """A writer is pinned to the old primary: nothing of it is acknowledged after the promotion."""
    late, drills, before = 0, max(1, DRILLS // 10), 0
    with make_drilled(world, "alive", link_delay_ms=50, is_synchronous=is_synchronous) as drilled:
        for number in range(drills):
            old = drilled.primary()
            pinned = Observer(drilled.pair.variables("app", old), tmp_path / f"pinned-{number}")
            try:
                pinned.wait()
                report = drill_and_observe(drilled, tmp_path / f"observed-{number}", fault)
                acknowledged = list(pinned.read().values())
            finally:
                pinned.kill()
            steps = {step.name: step.detail for step in world.steps(report["run_id"])}
            promoted_at = steps["promote_standby"]["promoted_at"] - 1e-3
            began_at = next(
                s.begun_at for s in world.steps(report["run_id"]) if s.name == "promote_standby"
            ).timestamp()
            late += sum(at >= began_at for at in acknowledged)
            before += len(acknowledged)
            assert began_at < promoted_at
            assert len(read_state(drilled.pair).primaries) == 1
            assert drilled.primary() == other(old)
    assert late == 0
    page.add(
        f"{fault.replace('_', ' ')} primary, {'' if is_synchronous else 'a'}synchronous, a writer pinned to it",
        f"{drills} drills: 0 of {before} of its writes were acknowledged after the promotion had begun",
    )


def test_every_step_is_killed(world: World, page: Page) -> None:
    """SIGKILL at each step, before and after its effect: never two writable primaries, and the sweeper ends it."""
    ways = (
        ("drill", UNGRACEFUL, {"mode": "ungraceful"}),
        ("drill", GRACEFUL, {"mode": "graceful"}),
        ("failover", FAILOVER, {"reason": "the proof"}),
    )
    cells = [(word, step, moment, how) for word, steps, how in ways for step in steps for moment in ("begin", "end")]
    with make_drilled(world, "killed") as drilled:
        for word, step, moment, how in cells:
            run = drilled.kill_at(word, step, moment, **how)
            assert run.status in ("crashed", "succeeded"), (word, step, moment, run.error)
            assert run.status == "crashed" or step.startswith("publish_"), (word, step, moment)
            assert world.status(drilled.name) == "ready"
    page.add(
        "SIGKILL at every step of a drill of both modes and of a failover, before and after its effect",
        f"{len(cells)} cells: at most one writable primary at every look, exactly one after the sweep, with a standby "
        "behind it that has every row; the environment is ready",
    )


def test_a_scheduled_drill_fires(world: World, page: Page) -> None:
    """From its deployment's own schedule, by the worker, without anybody: it is in the history as `schedule`'s."""
    recovery = {"rto": "8h", "rpo": "1d", "backup_max_age": "2d", "drill": {"schedule": "* * * * *"}}
    with make_drilled(world, "scheduled", recovery=recovery) as drilled:
        world.process.ask("run", "evaluate", {}, None)

        def find() -> list[RunRow]:
            return [run for run in world.ledger.list_runs(drilled.name) if run.actor == "schedule" and run.finished_at]

        run = wait_for("a scheduled drill has ended", find, 300)[-1]
        assert run.status == "succeeded", run.error
        flow_run = world.ask_prefect("/flow_runs/filter", flow_runs={"id": {"any_": [run.run_id]}})[0]
        assert (flow_run["auto_scheduled"], flow_run["state_type"]) == (True, "COMPLETED")
        assert world.run("teardown", drilled.name).status == "succeeded"
        world.process.ask("run", "evaluate", {}, None)
    page.add("a drill scheduled every minute in the environment's file", "ran by itself; the actor is `schedule`")


def test_a_peer_beside(page: Page, tmp_path: Path) -> None:
    """Patroni on etcd at its lowest settings on the same machine, measured by the same observer."""
    programs = find_patroni()
    if programs is None:
        pytest.skip("etcd or Patroni is not installed")
    outages = run_patroni_drills(programs, tmp_path, PEER_DRILLS)
    page.add(
        f"Patroni beside, at its lowest settings (ttl 20, loop_wait 1): {PEER_DRILLS} lost hosts, kill -9",
        f"outage at the client {describe(outages)}",
    )


def test_the_page_is_written(request: pytest.FixtureRequest, page: Page) -> None:
    """Last, and only where all before it held: a run of a part of this file writes none."""
    assert request.session.testsfailed == 0
    page.write()


def describe(values: list[float], unit: str = "s", digits: int = 3) -> str:
    """Median and range."""
    spread = f"{min(values):.{digits}f} to {max(values):.{digits}f}"
    return f"{statistics.median(values):.{digits}f} {unit} (median; {spread})"
