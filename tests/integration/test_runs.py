"""A run's beginning and end, and the sweep of a dead one, on a real PostgreSQL, a real Prefect and the emulator."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prefect import flow
from prefect.logging import disable_run_logger
from prefect.testing.utilities import prefect_test_harness
from sqlalchemy import create_engine, update

from blocks.aws import AwsAccount
from blocks.environment_files import read_declared
from blocks.ledger import Ledger, RunRow
from blocks.ledger.team_tables import liveness
from blocks.settings import read_settings
from domain.progress import Event
from domain.spec import EnvironmentSpec
from domain.status import Operation, RunStatus
from domain.step import Undo
from domain.teardown import Temporary
from flows.sweep import keep_house, sweep_runs
from tasks.lease import wait_for_lease
from tasks.ledger import ledger as open_own
from tasks.orphans import adopt_orphans
from tasks.record import record_run
from tasks.sweep import restore_run
from tasks.terraform import list_rescued
from tests.flow_faults import Faults
from tests.polling import wait_for
from tests.postgres_server import APP_ROLE, PostgresServer


@pytest.fixture(scope="module")
def prefect() -> Iterator[None]:
    """A Prefect server."""
    with prefect_test_harness(server_startup_timeout=120):
        yield


@dataclass
class Place:
    """An environment `dev` in an account of its own, and the ledger that the tasks of this process use."""

    ledger: Ledger
    account: AwsAccount
    version: int
    owner_url: str

    def begin(self, operation: Operation = Operation.PLAN) -> str:
        """A run that has begun and whose process is this one."""
        run_id = str(uuid4())
        self.ledger.enter_run(run_id, "dev")
        if operation != Operation.PLAN:
            assert self.ledger.take_lease("dev", run_id) is None
        self.ledger.begin_run(run_id, "dev", operation, "f", self.version, None, "ada", "host", 1)
        return run_id

    def kill(self, run_id: str) -> None:
        """Let its process be one that is gone."""
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        with self.ledger._write() as connection:
            connection.execute(update(liveness).where(liveness.c.run_id == run_id).values(pid=child.pid))

    def read(self, run_id: str) -> RunRow:
        """A run that is on record."""
        run = self.ledger.read_run(run_id)
        assert run is not None
        return run

    def count_takeovers(self) -> int:
        """How often the chain has one."""
        return [event.kind for event in self.ledger.list_events()].count("takeover")


@pytest.fixture
def place(
    prefect: None,
    ledger: Ledger,
    ledger_database: str,
    postgres: PostgresServer,
    account: AwsAccount,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Place]:
    """The settings of this process name the test's ledger and a folder of its own."""
    monkeypatch.setenv("TERRARIUM_LEDGER_URL", postgres.url(ledger_database, APP_ROLE))
    monkeypatch.setenv("TERRARIUM_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("TERRARIUM_LEASE_WAIT_MINUTES", "0")
    read_settings.cache_clear()
    open_own.cache_clear()
    account.save(account.name, overwrite=True)
    base = json.loads(read_declared("sandbox")[1].canonical_json())
    spec = EnvironmentSpec.model_validate_json(json.dumps(base | {"name": "dev", "account": account.name}))
    version = ledger.add_spec("dev", spec.canonical_json(), "", "ada")
    yield Place(ledger, account, version, postgres.url(ledger_database))
    open_own().close()
    read_settings.cache_clear()
    open_own.cache_clear()


@flow
def change(operation: Operation, version: int) -> None:
    """A run with nothing to do."""
    with record_run("dev", operation, version):
        pass


@flow
def fail_and_not_undo(version: int) -> None:
    """A run that fails, and whose undo fails too."""
    with record_run("dev", Operation.PLAN, version) as run:
        open_own().begin_step(run.run_id, "save_plan", {}, Undo(name="no_such_undo"))
        raise RuntimeError("the real reason")


def test_a_sweep_that_failed_for_now_goes_on(place: Place) -> None:
    """The database was away as the end was written: the second try writes it, and the chain has one takeover."""
    run_id = place.begin()
    place.kill(run_id)
    owner = create_engine(place.owner_url.replace("postgresql:", "postgresql+psycopg:"))
    with Faults(owner) as faults, faults.order("dev", "outcome", "begin", "away"):
        sweep_runs()
    assert place.read(run_id).status == RunStatus.CRASHED
    assert (place.ledger.list_live(), place.count_takeovers()) == ([], 1)


def test_a_dead_run_is_not_ended_in_another_account(place: Place) -> None:
    """Its account's block is another place by now: the sweep fails, and neither takes over nor touches anything."""
    run_id = place.begin(Operation.PROVISION)
    place.ledger.open_generation("dev", run_id, place.account.name, "emulator 000000000000")
    place.kill(run_id)
    for _ in range(2):
        assert sweep_runs(return_state=True).is_failed()
    assert (place.read(run_id).finished_at, place.count_takeovers()) == (None, 0)
    assert [row.run_id for row in place.ledger.list_leases()] == [run_id]


def test_house_is_kept_where_a_part_of_it_fails(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead run is swept though expiring fails; expired environments are looked for though the sweep fails."""
    run_id = place.begin()
    place.kill(run_id)
    looked: list[str] = []

    def fail() -> list[Temporary]:
        looked.append("expired")
        raise RuntimeError("no answer")

    monkeypatch.setattr("flows.teardown.read_temporary", fail)
    assert keep_house(return_state=True).is_failed()
    assert place.read(run_id).status == RunStatus.CRASHED
    monkeypatch.setattr("flows.sweep.read_begun", fail)
    assert keep_house(return_state=True).is_failed()
    assert looked == ["expired"] * 3


def test_a_plan_goes_on_beside_a_dead_run_that_cannot_be_ended(place: Place) -> None:
    """It takes no lease; a change would be told why."""
    dead = place.begin(Operation.PROVISION)
    place.ledger.open_generation("dev", dead, place.account.name, "emulator 000000000000")
    place.kill(dead)
    with disable_run_logger():
        wait_for_lease(str(uuid4()), "dev", Operation.PLAN)
    assert place.read(dead).finished_at is None


def test_an_undo_that_fails_hides_neither_the_end_nor_its_reason(place: Place) -> None:
    """The run is failed, with what it failed of."""
    with pytest.raises(RuntimeError, match="the real reason"):
        fail_and_not_undo(place.version)
    (run,) = place.ledger.list_runs("dev")
    assert (run.status, run.error) == (RunStatus.FAILED, "RuntimeError: the real reason")
    assert place.ledger.list_live() == []


def test_a_run_that_is_cancelled_while_it_waits_is_on_record(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As cancelled, and the holder still has the lease."""
    monkeypatch.setenv("TERRARIUM_LEASE_WAIT_MINUTES", "60")
    read_settings.cache_clear()
    holder = place.begin(Operation.PROVISION)
    with _interrupt_when(lambda: len(place.ledger.list_live("dev")) == 2), pytest.raises(KeyboardInterrupt):
        change(Operation.PROVISION, place.version)
    (run,) = [one for one in place.ledger.list_runs("dev") if one.run_id != holder]
    assert run.status == RunStatus.CANCELLED
    assert [row.run_id for row in place.ledger.list_live("dev")] == [holder]
    assert [row.run_id for row in place.ledger.list_leases()] == [holder]


@contextmanager
def _interrupt_when(is_so: Callable[[], bool]) -> Iterator[None]:
    """SIGINT to this process, in whose main thread the flow runs, once something is so."""

    def strike() -> None:
        wait_for("the run waits", is_so)
        os.kill(os.getpid(), signal.SIGINT)

    striking = threading.Thread(target=strike)
    striking.start()
    try:
        yield
    finally:
        striking.join()


def test_a_held_environment_is_not_waited_for(place: Place) -> None:
    """Another run has the lease, and a person holds the environment: the hold is what the run is refused for."""
    holder = place.begin(Operation.PROVISION)
    place.ledger.add_hold("dev", "bob", "an incident", datetime.now(UTC) + timedelta(hours=1))
    with suppress(Exception):
        change(Operation.PROVISION, place.version)
    (run,) = [one for one in place.ledger.list_runs("dev") if one.run_id != holder]
    assert run.status == RunStatus.REFUSED
    assert "dev is held by bob" in (run.error or "")


def test_a_refused_run_names_its_spec(place: Place) -> None:
    """It was refused after its spec was chosen: the version is on record."""
    place.ledger.open_generation("dev", place.begin(), place.account.name, "emulator 000000000000")
    with suppress(Exception):
        change(Operation.PLAN, place.version)
    newest = place.ledger.list_runs("dev")[0]
    assert (newest.status, newest.spec_version) == (RunStatus.REFUSED, place.version)


def test_a_plan_tells_of_orphans_and_takes_none(place: Place) -> None:
    """What a dead run made is imported by the next run that holds the lease; a living run's is nobody's orphan."""
    maker = place.begin(Operation.PROVISION)
    place.ledger.open_generation("dev", maker, place.account.name, place.account.place)
    url = place.account.client("sqs").create_queue(QueueName="terrarium-dev")["QueueUrl"]
    made = {"address": "aws_sqs_queue.main", "resource_type": "aws_sqs_queue", "action": "create", "resource_id": url}
    event = Event.model_validate(made | {"at": datetime.now(UTC), "kind": "completed"})
    place.ledger.add_journal(maker, [event])
    planning = restore_run(place.read(place.begin()))
    assert planning is not None
    changing = replace(planning, operation=Operation.PROVISION)
    imported: list[str] = []
    with disable_run_logger():
        adopt_orphans(changing, lambda _run, address, _id: imported.append(address))
        assert imported == []
        place.kill(maker)
        adopt_orphans(planning, lambda _run, address, _id: imported.append(address))
        assert imported == []
        adopt_orphans(changing, lambda _run, address, _id: imported.append(address))
    assert imported == ["aws_sqs_queue.main"]


def test_rescued_states_are_put_back_in_order_of_time(tmp_path: Path) -> None:
    """The name of a run says nothing of when it was."""
    paths = [tmp_path / run_id / "stacks" / "aws" / "errored.tfstate" for run_id in ("c", "a", "b")]
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True)
        path.write_text("{}")
        os.utime(path, (number, number))
    assert list_rescued(tmp_path) == paths
