"""What a drill's outage costs against promoting by hand, drill by drill in one run on the same pair.

`make bench ONLY=drill` prints a line name=value for each figure; nothing here asserts a time. By hand is what an
operator who knows at once would type: kill -9, `pg_ctl promote`, and the gateway switched. Detection, ledger and fence
are the flow's.
"""

import json
import os
import signal
import socket
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.postgres.relays import lead_gateway
from blocks.postgres.replication import prepare_primary
from domain.pair import other
from tasks.pair_order import rejoin
from tests.drill_world import DrilledEnvironment, Observer, make_drilled
from tests.flow_world import World
from tests.flows.conftest import name, world
from tests.polling import wait_for

__all__ = ["name", "world"]
PAIRS = 5


@pytest.fixture(scope="module")
def drilled(world: World) -> Iterator[DrilledEnvironment]:
    """One environment with a pair, asynchronous and without a delay."""
    with make_drilled(world, "timed", rows=10_000) as found:
        yield found


@pytest.mark.timeout(1800)
def test_drill(drilled: DrilledEnvironment, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The outage of a killed primary at the same client: by the flow, and by hand."""
    flow: list[float] = []
    detection: list[float] = []
    hand: list[float] = []
    for number in range(PAIRS):
        for way in ("flow", "hand") if number % 2 else ("hand", "flow"):
            if way == "flow":
                report = (drilled.drill().report or {})["drill"]
                flow.append(report["rto_seconds"])
                detection.append(report["detection_seconds"])
            else:
                hand.append(promote_by_hand(drilled, tmp_path / f"hand-{number}"))
    with capsys.disabled():
        print_figure("drill_rto_s", flow)
        print_figure("drill_detection_s", detection)
        print_figure("drill_by_hand_s", hand)
        overhead = statistics.median(flow) - statistics.median(hand)
        print(f"drill_overhead_s={overhead:.3f}  # RTO of the flow less that by hand, medians of {PAIRS}")  # noqa: T201 - a bench prints its figures


def promote_by_hand(drilled: DrilledEnvironment, log: Path) -> float:
    """Seconds of outage at an observer; the old primary is back as the standby afterwards."""
    pair, old = drilled.pair, drilled.primary()
    new = other(old)
    observer = Observer(pair.variables("app"), log)
    try:
        observer.wait()
        postmaster = int((pair.server(old).data / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        server = pair.server(new)
        options = server.account.subprocess_options() if server.account else {}
        subprocess.run(
            [server.programs / "pg_ctl", "-D", server.data, "-w", "promote"],
            check=True, capture_output=True, cwd="/", **options,
        )  # fmt: skip
        _switch(str(pair.control("gateway")), pair.record.ports.of(new))
        count = len(observer.read())
        wait_for("the client writes again", lambda: len(observer.read()) > count + 20)
        outage = float(observer.stop()["gap_seconds"])
    finally:
        observer.kill()
    lead_gateway(pair, new)
    prepare_primary(pair, new)
    rejoin(pair, old)
    drilled.check_order()
    return outage


def _switch(control: str, port: int) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(control)
        connection.sendall(json.dumps({"do": "switch", "route": "gateway", "target": port}).encode() + b"\n")
        connection.recv(4096)


def print_figure(name: str, values: list[float]) -> None:
    """The median, and all of them."""
    spread = " ".join(f"{value:.3f}" for value in values)
    print(f"{name}={statistics.median(values):.3f}  # of {spread}")  # noqa: T201 - a bench prints its figures
