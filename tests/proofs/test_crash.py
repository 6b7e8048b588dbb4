"""The full crash matrix: all steps of provision and teardown, six ways to die, early and late; and servers restarted.

Resumable by cell for one commit: cells that passed are kept in the state folder (tests/crash_cells.py).
"""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from blocks.environment_files import read_declared
from deployments.local.supervision import start_part, stop_part
from domain.spec import EnvironmentSpec
from tests.crash_cells import Cells
from tests.crash_matrix import Cell, Matrix, list_cells, try_cell
from tests.flow_world import PARTS, World
from tests.flows.test_provision import wait_for_end, wait_for_slow_part
from tests.integration.conftest import bootstrap, open_account
from tests.polling import wait_for
from tests.proofs.page import Page

pytestmark = pytest.mark.timeout(1200)
ABOUT = (
    "Each cell: a run dies at that step; then no child process, lease, lock or scratch folder is left, the ledger says "
    "what there is, the chain of evidence is whole, and the next run converges with no resource twice. On "
    "`terraform_data` all steps; on `aws` Terraform's steps on the emulator's sandbox, counted by boto3's own list "
    "calls (`tests/account_count.py`). A cell without a Terraform child is n/a for the kills of one."
)
CELLS = [*list_cells("terraform_data"), *list_cells("aws")]
PROTECTION = {"teardown": "allowed", "deletion_limit": 50, "final_snapshot": False, "keep_media": True}
SLOW = {"slow_seconds": {"logs": 10}}


@pytest.fixture(scope="module")
def cells() -> Cells:
    """What was shown so far of this commit."""
    return Cells("crash")


@pytest.fixture(scope="module")
def page(request: pytest.FixtureRequest, cells: Cells) -> Iterator[Page]:
    """The proof's page, written when every cell of this commit has passed."""
    page = Page("crash", ABOUT + cells.tell_kept())
    yield page
    wanted = [*map(str, CELLS), *RESTARTS]
    if all(cell in cells.shown for cell in wanted):
        for cell in wanted:
            page.add(cell.replace(" | ", ", "), cells.shown[cell])
        page.write()


@pytest.fixture(scope="module")
def matrices(world: World) -> dict[str, Matrix]:
    """One environment for each stack."""
    rehearsed = Matrix(world, "crash", "terraform_data", world.add_spec("crash", protection=PROTECTION))
    declared = json.loads(read_declared("sandbox")[1].canonical_json())
    kept = {key: value for key, value in declared.items() if key not in ("ttl", "ttl_warning")}
    spec = EnvironmentSpec.model_validate_json(json.dumps(kept | {"name": "crash-aws", "account": world.account.name}))
    version = world.ledger.add_spec("crash-aws", spec.canonical_json(), "", "tests")
    return {"terraform_data": rehearsed, "aws": Matrix(world, "crash-aws", "aws", version)}


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_run_that_dies_leaves_nothing_wrong(
    matrices: dict[str, Matrix], cells: Cells, page: Page, cell: Cell
) -> None:
    """No process, lock, lease or folder is left, the ledger says what is, and the next run converges."""
    cells.show(str(cell), lambda: try_cell(matrices[cell.cloud], cell))


def restart(world: World, part: str) -> None:
    """Stop a server of the stack and start it again."""
    record = world.stack.record
    stop_part(record, part, 0)
    start_part(record, part, 180)


def check_goes_on(world: World, name: str, part: str) -> str:
    """A server is restarted in the middle of an apply: the run comes to its good end."""
    queued = world.start("provision", name, world.add_spec(name, rehearsal=SLOW))
    wait_for_slow_part(world, queued.run_id, "logs")
    restart(world, part)
    run = wait_for_end(world, queued.run_id)
    assert (run.status, run.environment_status, world.parts(name)) == ("succeeded", "ready", list(PARTS)), run.error
    return "the run went on and succeeded"


def check_worker(world: World, name: str) -> str:
    """The worker and its flows are ended in the middle of an apply: nothing is left, the next run converges."""
    queued = world.start("provision", name, world.add_spec(name, rehearsal=SLOW))
    wait_for_slow_part(world, queued.run_id, "logs")
    restart(world, "worker")
    wait_for("its process is gone", lambda: all(row.is_proved_dead for row in world.ledger.list_live(name)), 120)
    world.sweep()
    run = wait_for_end(world, queued.run_id)
    assert run.status in ("crashed", "cancelled")
    assert not world.observe(name)["is_locked"]
    assert world.run("provision", name, world.add_spec(name)).environment_status == "ready"
    return f"the run is {run.status}; the next one converged"


def check_emulator(world: World, name: str) -> str:
    """The emulator forgets everything in the middle of an apply: the run fails, nothing waits for ever."""
    queued = world.start("provision", name, world.add_spec(name, rehearsal=SLOW))
    wait_for_slow_part(world, queued.run_id, "logs")
    restart(world, "emulator")
    run = wait_for_end(world, queued.run_id)
    assert run.status == "failed"
    account_id = world.account.account_id
    world.account = bootstrap(open_account(world.stack.settings.emulator_url, account_id))
    world.process.ask("register", world.account.model_dump(exclude_none=True))
    world.ledger.mark_lost(name, "the emulator has restarted")
    again = world.run("provision", name, world.add_spec(name))
    assert (again.environment_status, world.parts(name)) == ("ready", list(PARTS)), again.error
    return "the run failed; the environment was made again"


def check_prefect_cancel(world: World, name: str) -> str:
    """What the cancel button of the Prefect UI sends, by Prefect's own API."""
    queued = world.start("provision", name, world.add_spec(name, rehearsal={"slow_seconds": {"logs": 120}}))
    wait_for_slow_part(world, queued.run_id, "logs")
    body = {"state": {"type": "CANCELLING"}}
    answer = httpx.post(f"{world.prefect.url}/flow_runs/{queued.run_id}/set_state", json=body, trust_env=False)
    assert answer.is_success
    run = wait_for_end(world, queued.run_id)
    assert (run.status, world.observe(name)["is_locked"]) == ("cancelled", False)
    assert world.run("provision", name, world.add_spec(name)).environment_status == "ready"
    return "the run is cancelled; the next one converged"


#: The emulator is last: it forgets the account that the others use.
RESTARTS: dict[str, Callable[[World, str], str]] = {
    "PostgreSQL restarted in the middle of an apply": lambda world, name: check_goes_on(world, name, "postgres"),
    "Prefect's server restarted in the middle of an apply": lambda world, name: check_goes_on(world, name, "prefect"),
    "worker restarted in the middle of an apply": check_worker,
    "cancelled by the button of the Prefect UI": check_prefect_cancel,
    "emulator restarted in the middle of an apply": check_emulator,
}


@pytest.mark.parametrize("what", RESTARTS)
def test_a_server_that_restarts_leaves_nothing_wrong(
    world: World, name: str, cells: Cells, page: Page, what: str
) -> None:
    """The run goes on, or ends and is on record; the environment becomes ready."""

    def check() -> str:
        shown = RESTARTS[what](world, name)
        world.sweep()
        return shown

    cells.show(what, check)
