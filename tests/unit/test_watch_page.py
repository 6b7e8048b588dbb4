"""The watcher's page tells a watcher that watches from one that only runs."""

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

import pytest

from blocks.postgres.pair_files import Pair
from blocks.supervisor import Stack
from deployments.local import watch_page
from deployments.local.watch_page import is_well, serve_page
from deployments.local.watched import EnvironmentWatch
from domain.pair import PairPorts, PairRecord, PairSpec
from domain.spec_parts import Recovery
from domain.watch import Standing, Verdict, WatchState
from tests.polling import wait_for

HOST = "127.0.0.1"
STANDING = Standing(
    recovery=Recovery.model_validate(
        {"rto": "1h", "rpo": "5m", "backup_max_age": "24h", "failover": "automatic", "failover_detection_seconds": 1}
    )
)


@dataclass
class Watcher:
    """What the page tells of."""

    watches: dict[str, EnvironmentWatch]
    refreshed_at: float = field(default_factory=time.monotonic)


@dataclass
class Ledger:
    """One that may be broken, in a way that nobody foresaw."""

    is_broken: bool = False
    asked: int = 0

    def read(self) -> Standing:
        """What the ledger says."""
        self.asked += 1
        if self.is_broken:
            raise ValueError("a row that nobody can read")
        return STANDING


@pytest.fixture
def ledger() -> Ledger:
    """A ledger."""
    return Ledger()


@pytest.fixture
def watch(ledger: Ledger, tmp_path: Path) -> Iterator[EnvironmentWatch]:
    """The watch over a pair of which nothing listens."""
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    ports = PairPorts(gateway=port, a=port, b=port, link_to_a=port, link_to_b=port)
    spec = PairSpec(region="eu-central-1", recovery_region="eu-west-1")
    record = PairRecord(environment="dev", host=HOST, ports=ports, spec=spec, run_id="run-1")
    stack = Stack.model_construct(host=HOST)
    watch = EnvironmentWatch(Pair(stack, record, tmp_path, tmp_path, None), STANDING, ledger.read, lambda _: "run-2")
    yield watch
    watch.end()


def test_a_loop_goes_on_whatever_it_meets(
    watch: EnvironmentWatch, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lost primary is an alarm, so the ledger is asked: an error that is none of ours ends no loop, and is told."""
    monkeypatch.setattr(watch_page, "SILENT_SECONDS", 1.5)
    watcher = Watcher({"dev": watch})
    watch.begin()
    ledger.is_broken = True
    wait_for("it is not well", lambda: not is_well(refreshed(watcher)), 10)
    known = ledger.asked
    wait_for("it asks again", lambda: ledger.asked > known + 1, 10)
    ledger.is_broken = False
    wait_for("it is well", lambda: is_well(refreshed(watcher)), 10)
    assert watch.verdict.state is WatchState.BLOCKED


def test_samples_count_while_the_primary_is_seen(watch: EnvironmentWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without them the bound of the loss ages; a frozen primary keeps one, and that is no fault of the watcher."""
    monkeypatch.setattr(watch_page, "SILENT_SECONDS", 0.05)
    watcher = Watcher({"dev": watch})
    wait_for("nothing was done for too long", lambda: not is_well(refreshed(watcher)), 5)
    watch._ticks["looks"] = time.monotonic() + 60
    assert is_well(refreshed(watcher))
    watch.verdict = Verdict(state=WatchState.SEEN, told="the primary answers")
    assert not is_well(refreshed(watcher))


def test_the_page_has_no_metrics_of_a_watcher_that_is_not_well(
    watch: EnvironmentWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prometheus then has no state of before, and `up` is 0, which is an alert."""
    watcher = Watcher({"dev": watch})
    with serve_page(HOST, 0, watcher) as server:
        port = server.server_address[1]
        assert (ask(port, "/health"), ask(port, "/metrics"), ask(port, "/other")) == (200, 200, 404)
        monkeypatch.setattr(watch_page, "SILENT_SECONDS", 0.0)
        assert (ask(port, "/health"), ask(port, "/metrics"), ask(port, "/other")) == (503, 503, 404)
        server.shutdown()


def refreshed(watcher: Watcher) -> Watcher:
    """The ledger was reached just now."""
    watcher.refreshed_at = time.monotonic()
    return watcher


def ask(port: int, path: str) -> int:
    """The status of the answer."""
    connection = HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
