"""An environment with a database pair of its own, in the world of the flows' tests, and what a drill left of it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blocks.kept_servers import kill_server
from blocks.ledger import RunRow
from blocks.postgres.account import bring_programs, choose_account
from blocks.postgres.pair import create_pair, delete_pair, mark_ready
from blocks.postgres.pair_files import Pair
from blocks.postgres.replication import read_state
from blocks.postgres.session import connect
from blocks.postgres_binaries import find_postgres_binaries
from blocks.settings import CHECKOUT
from domain.pair import Node, PairSpec, other
from tests.flow_world import World
from tests.polling import wait_for

OBSERVER = CHECKOUT / "tests" / "proofs" / "drill_observer.py"
FIRST_PORT = 16600
ROWS = 2000
#: The steps of each way, in their order.
UNGRACEFUL = (
    *("start_probe", "break_primary", "fence_primary", "promote_standby", "switch_name", "verify_writes"),
    *("rejoin_standby", "measure_loss", "compare_sides", "publish_drill_report"),
)
GRACEFUL = tuple(step.replace("break", "stop") for step in UNGRACEFUL)
FAILOVER = (
    *("stop_primary", "fence_primary", "promote_standby", "switch_name", "verify_writes", "rejoin_standby"),
    "publish_failover_report",
)


@dataclass
class DrilledEnvironment:
    """One environment, ready, whose pair every drill leaves for the next."""

    world: World
    name: str
    pair: Pair

    def drill(self, mode: str = "ungraceful", fault: str = "killed") -> RunRow:
        """A drill to its end."""
        return self.run("drill", mode=mode, fault=fault)

    def drill_held(self, fault: str, step: str, act: Callable[[], None]) -> RunRow:
        """A drill that is held before a step has its effect, while something happens to the pair."""
        with ThreadPoolExecutor(1) as pool:
            with self.world.faults.order(self.name, step, "begin", "hang"):
                run = pool.submit(self.drill, "ungraceful", fault)
                wait_for(f"{step} waits", self.world.faults.is_hanging, 60)
                act()
            return run.result()

    def run(self, word: str, **parameters: Any) -> RunRow:
        """A run of one of the flows, to its end."""
        answer = self.world.process.ask("run", word, {"environment": self.name, **parameters}, None)
        return self.world._read_ended(answer)

    def primary(self) -> Node:
        """The one server that takes writes."""
        (found,) = read_state(self.pair).primaries
        return found.node

    def is_whole(self) -> bool:
        """Exactly one writable primary behind the name, and a standby that follows it."""
        return read_state(self.pair).is_whole

    def write(self, number: int) -> None:
        """A client's row through the name."""
        with connect(self.pair, "app") as session:
            session.execute("INSERT INTO journey VALUES (%s, 'written')", (number,))

    def read(self, at: Node | None = None) -> set[int]:
        """The clients' rows, as one server has them."""
        with connect(self.pair, "app", at) as session:
            return {row[0] for row in session.execute("SELECT number FROM journey")}

    def check_order(self) -> None:
        """What has to be so after every run, however it ended."""
        assert wait_for("the pair is whole", self.is_whole, 30)
        (primary,) = [one.node for one in read_state(self.pair).nodes if one.is_primary]
        assert self.read(primary) == self.read(other(primary))

    def lose_primary(self) -> Node:
        """The primary is killed, and nobody starts it; which one it was."""
        old = self.primary()
        kill_server(self.pair.stack, self.pair.name(old))
        return old

    def kill_at(self, word: str, step: str, moment: str, **parameters: Any) -> RunRow:
        """A run that is killed with SIGKILL at a step, and swept: never two writable primaries, in the end one."""
        run_id = self.kill(word, step, moment, **parameters)
        self.world.sweep()
        self.check_order()
        return self.read_ended(run_id)

    def kill(self, word: str, step: str, moment: str, **parameters: Any) -> str:
        """A run that is killed with SIGKILL at a step, and that nobody has swept; its id."""
        world = self.world
        known = {run.run_id for run in world.ledger.list_runs(self.name)}
        with world.faults.order(self.name, step, moment, "hang"):
            world.process.tell("run", word, {"environment": self.name, **parameters}, None)
            wait_for(f"{step} waits", world.faults.is_hanging, 60)
            assert len(read_state(self.pair).primaries) <= 1
            world.process.kill()
        wait_for("it is gone", lambda: all(row.is_proved_dead for row in world.ledger.list_live(self.name)), 30)
        assert len(read_state(self.pair).primaries) <= 1
        (run,) = [run for run in world.ledger.list_runs(self.name) if run.run_id not in known]
        return run.run_id

    def read_ended(self, run_id: str) -> RunRow:
        """A run that somebody else ended."""
        run = self.world.ledger.read_run(run_id)
        assert run is not None
        assert run.finished_at is not None
        return run


@contextmanager
def make_drilled(
    world: World, name: str, *, link_delay_ms: int = 0, is_synchronous: bool = False, rows: int = ROWS, **spec: Any
) -> Iterator[DrilledEnvironment]:
    """An environment with a pair and some rows; the pair is removed in the end."""
    world.make(name, **spec)
    stack = world.stack.record
    programs = bring_programs(find_postgres_binaries(), stack.database_dir, choose_account())
    wanted = PairSpec(
        region="eu-central-1",
        recovery_region="eu-west-1",
        link_delay_ms=link_delay_ms,
        is_synchronous=is_synchronous,
    )
    try:
        made = create_pair(stack, name, wanted, "tests", programs, FIRST_PORT, datetime.now(UTC))
        pair = mark_ready(made, "")
        pair.not_yet.touch()  # no archive here: its segments would wait for an uploader that nobody starts
        with connect(pair, "app") as session:
            session.execute("CREATE TABLE journey (number bigint PRIMARY KEY, text text)")
            session.execute("INSERT INTO journey SELECT n, md5(n::text) FROM generate_series(1, %s) n", (rows,))
        yield DrilledEnvironment(world, name, pair)
    finally:
        delete_pair(stack, name)


class Observer:
    """tests/proofs/drill_observer.py, which has none of our code: rows of its own, wherever libpq's variables lead."""

    def __init__(self, variables: Mapping[str, str], log: Path) -> None:
        self.log = log
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(OBSERVER), "watch", str(log)],
            env={"PATH": os.environ["PATH"], **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        """Its process, which its rows are named by."""
        return self._process.pid

    def wait(self, rows: int = 20) -> None:
        """Until it writes."""
        wait_for("the observer writes", lambda: len(self.read()) >= rows, 30)

    def read(self) -> dict[int, float]:
        """When each of its rows was acknowledged so far, in epoch seconds."""
        if not self.log.exists():
            return {}
        lines = [line.split() for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return {int(number): float(at) for number, at in lines}

    def stop(self) -> dict[str, Any]:
        """What it saw."""
        out, _ = self._process.communicate(timeout=30)
        return dict(json.loads(out))

    def count_missing(self, pair: Pair, at: Node) -> int:
        """How many of its acknowledged rows one server has not got, by a count of its own."""
        counted = _ask_observer(pair.variables("app", at), "missing", str(self.log), str(self._process.pid))
        return int(counted["missing_rows"])

    def kill(self) -> None:
        """For a `finally`: it is gone afterwards."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()


def recount(pair: Pair, at: Node, log: str, run_id: str) -> dict[str, Any]:
    """The drill's numbers as the observer counts them, from the probe's log and one server."""
    return _ask_observer(pair.variables("probe", at), "recount", log, run_id)


def _ask_observer(variables: Mapping[str, str], *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-I", str(OBSERVER), *arguments]
    environment = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=60, check=True)
    return dict(json.loads(done.stdout))
