"""An environment that the stack's own watcher watches, with a pair that a run has made; cuts, and what came of them."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from blocks.ledger import RunRow
from blocks.postgres.pair import delete_pair
from blocks.postgres.pair_files import open_pair
from blocks.postgres.replication import read_state
from blocks.postgres.session import connect
from blocks.postgres_binaries import find_postgres_binaries
from blocks.relay import cut_relay, mend_relay
from domain.pair import other
from domain.status import Operation
from tests.drill_world import DrilledEnvironment
from tests.flow_world import World
from tests.polling import wait_for

DATABASE = {"version": "16", "provider": "postgres"}
PLACE: dict[str, Any] = {"recovery_region": "eu-west-1", "network": {"zones": 2, "nat_gateways": 1}}
RECOVERY = {"rto": "8h", "rpo": "5m", "backup_max_age": "2d", "failover": "automatic"}
STATE = re.compile(r'terrarium_watch_state\{environment="([^"]+)",state="([^"]+)"\} 1\.0')


@dataclass
class WatchedEnvironment(DrilledEnvironment):
    """One environment; the watcher is the stack's, its runs are the worker's."""

    def list_failovers(self) -> list[RunRow]:
        """All that have begun, newest first."""
        return [run for run in self.world.ledger.list_runs(self.name) if run.operation is Operation.FAILOVER]

    def state(self) -> str | None:
        """What the watcher makes of it, from its page; None where it does not watch it."""
        return dict(STATE.findall(self.read_metrics())).get(self.name)

    def read_metrics(self) -> str:
        """The watcher's page, as Prometheus reads it."""
        settings = self.world.stack.settings
        answer = httpx.get(f"http://{settings.host}:{settings.watcher_port}/metrics", trust_env=False, timeout=10)
        return answer.raise_for_status().text

    def wait_for_state(self, state: str, timeout_seconds: float = 30) -> None:
        """Until the watcher says so."""
        wait_for(f"{self.name} is {state}", lambda: self.state() == state, timeout_seconds, 0.02)

    def settle(self) -> None:
        """Whole, seen from both sides, and the standby known to have everything."""
        wait_for("the pair is whole", self.is_whole, 60)
        self.wait_for_state("seen")
        at = time.monotonic()
        wait_for("it was sampled", lambda: time.monotonic() - at > 3 and self.state() == "seen", 30)

    def wait_for_failover(self, known: int, timeout_seconds: float = 60) -> RunRow:
        """The one run after `known` ones, once it has ended."""

        def find() -> list[RunRow]:
            found = self.list_failovers()
            return found if len(found) > known and found[0].finished_at else []

        try:
            return wait_for("a failover has ended", find, timeout_seconds, 0.05)[0]
        except AssertionError as error:
            log = (self.world.stack.settings.state_dir / "logs" / "watcher.log").read_text()
            raise AssertionError(f"{error}; the watcher's log:\n{log[-2000:]}") from None

    def stays_without_run(self, seconds: float, state: str) -> None:
        """For so long nothing is started, there is never a second primary, and the watcher says `state` at the end."""
        known, deadline = len(self.list_failovers()), time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert len(read_state(self.pair).primaries) <= 1
            assert len(self.list_failovers()) == known
            time.sleep(0.2)
        self.wait_for_state(state, 5)

    @contextmanager
    def cut(self, *relays: str) -> Iterator[None]:
        """Nothing passes there meanwhile: `link` between the servers, `gateway` before the clients and the watcher."""
        for relay in relays:
            cut_relay(self.pair.control(relay))
        try:
            yield
        finally:
            for relay in relays:
                mend_relay(self.pair.control(relay))

    def rewrite(self, **recovery: Any) -> None:
        """Apply its file with another recovery."""
        version = self.world.add_spec(self.name, **describe(recovery))
        assert self.world.run("provision", self.name, version).status == "succeeded"

    def check_order(self) -> None:
        """One writable primary, the name on it, and the other side equal."""
        wait_for("the pair is whole", self.is_whole, 60)
        primary = self.primary()
        wait_for("both sides are equal", lambda: self.read(primary) == self.read(other(primary)), 30)


def describe(recovery: dict[str, Any]) -> dict[str, Any]:
    """What the file of a watched environment says of its own."""
    return PLACE | {"data": {"database": DATABASE}, "recovery": RECOVERY | recovery}


@contextmanager
def make_watched(world: World, name: str, **recovery: Any) -> Iterator[WatchedEnvironment]:
    """An environment with a real pair and a table of its clients'; the pair is removed in the end."""
    try:
        world.make(name, **describe(recovery))
        pair = open_pair(world.stack.record, name, find_postgres_binaries())
        with connect(pair, "app") as session:
            session.execute("CREATE TABLE journey (number bigint PRIMARY KEY, text text)")
        watched = WatchedEnvironment(world, name, pair)
        watched.settle()
        yield watched
    finally:
        delete_pair(world.stack.record, name)
