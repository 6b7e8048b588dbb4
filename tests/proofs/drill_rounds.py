"""Drills with somebody watching: an observer's figures beside the flow's, and a writer pinned to the old primary."""

import os
import signal
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from blocks.ledger import RunRow
from blocks.postgres.replication import read_state
from blocks.process_folders import list_workers
from domain.pair import Node, other
from tests.drill_world import DrilledEnvironment, Observer, recount
from tests.polling import wait_for

#: A woken primary has acknowledged so many writes of its pinned writer when the drill goes on.
AWAKE_ROWS = 20


def watch_drill(drilled: DrilledEnvironment, log: Path, drill: Callable[[], RunRow]) -> dict[str, Any]:
    """The report of a drill that passed, `run_id`, and `disagreement`: seconds by which the observer's outage differs
    beside one of its round trips. Its counts are the same, and synchronous commits have lost it nothing."""
    observer = Observer(drilled.pair.variables("app"), log)
    try:
        observer.wait()
        run = drill()
        seen = observer.stop()
    finally:
        observer.kill()
    assert run.status == "succeeded", run.error
    report = dict((run.report or {})["drill"])
    assert (report["status"], report["diverged_rows_after_failback"]) == ("passed", 0), report
    counted = recount(drilled.pair, drilled.primary(), report["probe_log"], run.run_id)
    assert counted == {key: pytest.approx(report[key], abs=1e-5) for key in counted}
    if report["is_synchronous"]:
        assert (report["rpo_rows"], observer.count_missing(drilled.pair, drilled.primary())) == (0, 0)
    drilled.check_order()
    disagreement = max(0.0, abs(seen["gap_seconds"] - report["rto_seconds"]) - seen["trip_seconds"])
    return report | {"disagreement": disagreement, "run_id": run.run_id}


@dataclass
class Pinned:
    """What became of the writers that were pinned to the old primaries of some drills, in acknowledged writes."""

    all: int = 0
    woken: int = 0
    late: int = 0
    missing: int = 0
    _awake_from: int = field(default=0, repr=False)

    def drill(self, drilled: DrilledEnvironment, fault: str, folder: Path, *, is_woken: bool) -> None:
        """One drill; a primary that is woken is so when it counts as lost, before anything was done about it."""
        folder.mkdir()
        old = drilled.primary()
        writer = Observer(drilled.pair.variables("app", old), folder / "pinned")

        def wake() -> None:
            self._awake_from = len(writer.read())
            for pid in list_workers(drilled.pair.server(old).data, "postgres"):
                os.kill(pid, signal.SIGCONT)
            wait_for("the woken primary writes", lambda: len(writer.read()) > self._awake_from + AWAKE_ROWS, 30)

        def drill() -> RunRow:
            if is_woken:
                return drilled.drill_held(fault, "fence_primary", wake)
            return drilled.drill("ungraceful", fault)

        try:
            writer.wait()
            report = watch_drill(drilled, folder / "observed", drill)
            self._count(drilled, writer, report, old)
            self.woken += len(writer.read()) - self._awake_from if is_woken else 0
        finally:
            writer.kill()

    def _count(self, drilled: DrilledEnvironment, writer: Observer, report: dict[str, Any], old: Node) -> None:
        (promotion,) = [step for step in drilled.world.steps(report["run_id"]) if step.name == "promote_standby"]
        began_at = promotion.begun_at.timestamp()
        assert began_at < (promotion.detail or {})["promoted_at"]
        acknowledged = writer.read().values()
        self.all += len(acknowledged)
        self.late += sum(at >= began_at for at in acknowledged)
        self.missing += writer.count_missing(drilled.pair, drilled.primary())
        assert len(read_state(drilled.pair).primaries) == 1
        assert drilled.primary() == other(old)


def describe(values: list[float], unit: str = "s", digits: int = 3) -> str:
    """Median and range."""
    spread = f"{min(values):.{digits}f} to {max(values):.{digits}f}"
    return f"{statistics.median(values):.{digits}f} {unit} (median; {spread})"
