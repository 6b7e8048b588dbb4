"""The proof of drills: 80 killed primaries in four settings, living ones, every step killed, and a peer beside them.

`make prove PIPELINE=drill`; DRILLS=n for another number of drills in each setting. An observer that has none of our
code sees the same outage and counts the same rows. Patroni runs beside where it and etcd are there. Resumable by claim
for one commit: claims that held are kept in the state folder (tests/crash_cells.py).
"""

import os
import statistics
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blocks.ledger import RunRow
from tests.crash_cells import Cells
from tests.drill_world import FAILOVER, GRACEFUL, UNGRACEFUL, make_drilled
from tests.e2e.browser import UIS, Window
from tests.flow_world import World
from tests.flows.test_backup import DATABASE, PLACE
from tests.polling import wait_for
from tests.proofs.drill_rounds import Pinned, describe, watch_drill
from tests.proofs.page import Page
from tests.proofs.patroni_peer import find_patroni, run_patroni_drills

DRILLS = int(os.environ.get("DRILLS", "20"))
LIVING_DRILLS = max(1, DRILLS // 10)
PEER_DRILLS = 5
SETTINGS = {
    "asynchronous, 0 ms": (0, False),
    "asynchronous, 50 ms": (50, False),
    "asynchronous, 250 ms": (250, False),
    "synchronous (remote_apply), 50 ms": (50, True),
}
LIVING = [
    (fault, mode) for fault in ("frozen", "frozen and woken", "cut off") for mode in ("asynchronous", "synchronous")
]
#: Flow, steps and parameters; the primary of the last is killed before each cell.
WAYS: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "an ungraceful drill": ("drill", UNGRACEFUL, {"mode": "ungraceful"}),
    "a graceful drill": ("drill", GRACEFUL, {"mode": "graceful"}),
    **{
        f"a drill of a {fault} primary up to the switch": (
            "drill",
            UNGRACEFUL[1:5],
            {"mode": "ungraceful", "fault": fault.replace(" ", "_")},
        )
        for fault in ("frozen", "cut off")
    },
    "a failover of a living primary": ("failover", FAILOVER, {"reason": "the proof"}),
    "a failover of a lost primary": ("failover", FAILOVER[1:], {"reason": "the proof", "accept_loss": True}),
}
#: Seconds by which the observer's outage may differ, beside one of its round trips.
TOLERANCE = 0.1
LONGEST_MEDIAN = 1.0
RECOVERY = {"rto": "8h", "rpo": "1d", "backup_max_age": "2d"}
ABOUT = (
    "Drills through the real flow on real PostgreSQL pairs. RTO is the longest time between two acknowledgements at "
    "the client, RPO counts acknowledged rows that are gone. The detection time is a setting "
    "(`TERRARIUM_FAILOVER_DETECTION_MS`) and part of the RTO. The observer is a process with none of our code."
)
SCHEDULED = "a drill by the schedule of the environment's file"
PEER = f"Patroni beside, at its lowest settings (ttl 20, loop_wait 1): {PEER_DRILLS} lost hosts, kill -9"

pytestmark = pytest.mark.timeout(4 * 3600)


def name_killed(setting: str) -> str:
    """The claim of a setting."""
    return f"{setting}: {DRILLS} drills, kill -9"


def name_living(fault: str, mode: str) -> str:
    """The claim of a fault that leaves the primary alive."""
    return f"{fault} primary, {mode}, a writer pinned to it: {LIVING_DRILLS} drills"


def name_way(way: str) -> str:
    """The claim of a flow whose steps are killed."""
    return f"SIGKILL at every step of {way}, before and after its effect"


CLAIMS = [*map(name_killed, SETTINGS), *(name_living(*one) for one in LIVING), *map(name_way, WAYS), SCHEDULED]


@pytest.fixture(scope="module")
def cells() -> Iterator[Cells]:
    """What was shown so far of this commit; the page is written when that is every claim."""
    cells = Cells("drill")
    page = Page("drill", ABOUT + cells.tell_kept())
    yield cells
    wanted = [*CLAIMS, *([PEER] if find_patroni() else [])]
    if all(claim in cells.shown for claim in wanted):
        for claim in wanted:
            page.add(claim, cells.shown[claim])
        page.write()


@pytest.mark.parametrize("setting", SETTINGS)
def test_killed_primaries(world: World, cells: Cells, tmp_path: Path, setting: str) -> None:
    """Every drill passes; the observer agrees; synchronous commits lose nothing; both sides are equal, each time."""
    cells.show(name_killed(setting), lambda: check_killed(world, tmp_path, *SETTINGS[setting]))


def check_killed(world: World, folder: Path, delay_ms: int, is_synchronous: bool) -> str:
    """The distributions over the drills of a setting."""
    with make_drilled(world, "proved", link_delay_ms=delay_ms, is_synchronous=is_synchronous, rows=10_000) as drilled:
        reports = [watch_drill(drilled, folder / f"observed-{n}", drilled.drill) for n in range(DRILLS)]
    rto = [report["rto_seconds"] for report in reports]
    assert statistics.median(rto) <= LONGEST_MEDIAN, rto
    differences = [one["disagreement"] for one in reports]
    assert max(differences) <= TOLERANCE, differences
    return (
        f"RTO {describe(rto)}, of it detection {describe([one['detection_seconds'] for one in reports])} where "
        f"{world.stack.settings.failover_detection_ms} ms are set; "
        f"RPO {describe([float(one['rpo_rows']) for one in reports], 'rows', 0)}, "
        f"{describe([one['rpo_seconds'] for one in reports])}; "
        f"in doubt {sum(one['in_doubt_rows'] for one in reports)} rows; "
        f"the observer's outage differs, beside one round trip, by {describe(differences)}; its counts of lost rows "
        "and of rows in doubt are the same each time; "
        f"failback: 0 of {sum(one['compared_rows'] for one in reports)} compared rows differ"
    )


@pytest.mark.parametrize(("fault", "mode"), LIVING)
def test_living_primaries(world: World, cells: Cells, tmp_path: Path, fault: str, mode: str) -> None:
    """A writer is pinned to the old primary: nothing of it is acknowledged after the promotion."""
    cells.show(name_living(fault, mode), lambda: check_living(world, tmp_path, fault, mode == "synchronous"))


def check_living(world: World, folder: Path, fault: str, is_synchronous: bool) -> str:
    """How many writes were acknowledged, and when."""
    is_woken, pinned = "woken" in fault, Pinned()
    with make_drilled(world, "alive", link_delay_ms=50, is_synchronous=is_synchronous) as drilled:
        for number in range(LIVING_DRILLS):
            kind = "cut_off" if fault == "cut off" else "frozen"
            pinned.drill(drilled, kind, folder / str(number), is_woken=is_woken)
    assert pinned.late == 0
    assert not is_synchronous or pinned.missing == 0
    woken = f", {pinned.woken} of them after it was woken and before it was fenced" if is_woken else ""
    return (
        f"0 of its {pinned.all} acknowledged writes came after the promotion had begun{woken}; "
        f"{pinned.missing} of them are gone"
    )


@pytest.mark.parametrize("way", WAYS)
def test_every_step_is_killed(world: World, cells: Cells, way: str) -> None:
    """SIGKILL at each step, before and after its effect: never two writable primaries, and the sweeper ends it."""
    cells.show(name_way(way), lambda: check_steps(world, *WAYS[way]))


def check_steps(world: World, word: str, steps: tuple[str, ...], parameters: dict[str, Any]) -> str:
    """Each step at both moments, on one pair."""
    places = [(step, moment) for step in steps for moment in ("begin", "end")]
    with make_drilled(world, "killed") as drilled:
        for step, moment in places:
            if parameters.get("accept_loss"):
                drilled.lose_primary()
            run = drilled.kill_at(word, step, moment, **parameters)
            assert run.status in ("crashed", "succeeded"), (word, step, moment, run.error)
            assert run.status == "crashed" or step.startswith("publish_"), (word, step, moment)
            assert world.status(drilled.name) == "ready"
    return (
        f"{len(places)} cells: at most one writable primary at every look, exactly one after the sweep, with a standby "
        "behind it that has every row; the environment is ready"
    )


def test_a_scheduled_drill_fires(world: World, cells: Cells, name: str, window: Window, tmp_path: Path) -> None:
    """By its deployment's own schedule, without anybody; it and a verdict are seen in both of Prefect's UIs."""
    cells.show(SCHEDULED, lambda: check_scheduled(world, name, window, tmp_path))


def check_scheduled(world: World, name: str, window: Window, folder: Path) -> str:
    """An environment with a backup that is proved, whose file then gets a drill in two minutes."""
    spec = PLACE | {"data": {"database": DATABASE | {"backups": DATABASE["backups"] | {"schedule": "0 3 1 1 *"}}}}
    world.make(name, **spec, recovery=RECOVERY)
    assert world.run("backup", name).status == "succeeded"
    verdict = world.run("verify", name)
    assert verdict.status == "succeeded", verdict.error
    due_at = datetime.now(UTC) + timedelta(minutes=2)
    drill = {"schedule": f"{due_at.minute} {due_at.hour} * * *", "mode": "ungraceful"}
    assert world.run("provision", name, world.add_spec(name, **spec, recovery=RECOVERY | {"drill": drill})).error == ""
    world.process.ask("run", "evaluate", {}, None)

    def find() -> list[RunRow]:
        return [run for run in world.ledger.list_runs(name) if run.actor == "schedule" and run.finished_at]

    (run,) = wait_for("a scheduled drill has ended", find, 400)
    assert (run.status, (run.report or {})["drill"]["status"]) == ("succeeded", "passed"), run.error
    flow_run = world.ask_prefect("/flow_runs/filter", flow_runs={"id": {"any_": [run.run_id]}})[0]
    assert (flow_run["auto_scheduled"], flow_run["state_type"]) == (True, "COMPLETED")
    for ui in UIS:
        look_at_drill(window, name, run.run_id, ui, folder / f"drill-{ui}.png")
        window.open_artifact(verdict.run_id, f"verdict-{name}", ui)
        window.shows("Do the rules of the business hold?")
        window.page.screenshot(path=folder / f"verdict-{ui}.png", full_page=True)
    assert world.run("teardown", name).status == "succeeded"
    world.process.ask("run", "evaluate", {}, None)
    return "ran by itself, the actor is `schedule`; its run, its report and a backup's verdict stand in the Prefect UI"


def look_at_drill(window: Window, name: str, run_id: str, ui: str, picture: Path) -> None:
    """The run in the history, its end, and its report as a page with tables and a timeline."""
    title = f"drill {name}: ungraceful"
    window.open("/runs", ui)
    window.shows(title)
    window.open(f"/runs/flow-run/{run_id}", ui)
    window.shows(title)
    window.shows("Completed")
    window.press("Artifacts")
    window.shows(f"drill-{name}")
    window.open_artifact(run_id, f"drill-{name}", ui)
    window.shows("Measured at the client")
    window.shows("outage at the client (RTO)")
    assert window.page.locator("table").count() >= 2
    window.page.screenshot(path=picture, full_page=True)


def test_a_peer_beside(cells: Cells, tmp_path: Path) -> None:
    """Patroni on etcd at its lowest settings on the same machine, measured by the same observer."""
    programs = find_patroni()
    if programs is None:
        pytest.skip("etcd or Patroni is not installed")
    cells.show(PEER, lambda: f"outage at the client {describe(run_patroni_drills(programs, tmp_path, PEER_DRILLS))}")
