"""Making a database pair, interrupted and killed on the way, and beside another one."""

import signal
import subprocess
import sys

import pytest

from blocks.kept_servers import KEPT_FOLDER, list_kept
from blocks.postgres.nodes import stop_node
from blocks.postgres.pair import delete_pair
from blocks.postgres.pair_files import pair_folder
from blocks.postgres.replication import read_state
from blocks.postgres.session import connect
from blocks.settings import CHECKOUT
from blocks.supervisor import open_supervisor
from tests.pair_world import SPEC, PairWorld
from tests.polling import wait_for

pytestmark = pytest.mark.xdist_group("pair")


def test_an_interrupted_creation_is_finished(pair_world: PairWorld) -> None:
    """What a killed run left half made is made whole: a half copied standby, a server that was never started."""
    made = pair_world.create("half")
    try:
        stop_node(made, "b")
        made.server("b").data.rename(made.folder / "b" / "new")
        again = pair_world.create("half")
        assert read_state(again).is_whole
        assert not (made.folder / "b" / "new").exists()
    finally:
        assert delete_pair(pair_world.stack, "half")
    assert not pair_folder(pair_world.stack, "half").exists()
    assert [server for server in list_kept(pair_world.stack) if server.owner == "half"] == []
    assert not delete_pair(pair_world.stack, "half")


@pytest.mark.parametrize("moment", ["a/new", "a/data", "b/new", "b/data"])
def test_a_creation_that_is_killed_is_finished_by_the_next(pair_world: PairWorld, moment: str) -> None:
    """SIGKILL while it makes the primary's data, has just made them, copies them, has just copied them."""
    folder = pair_folder(pair_world.stack, "killed") / moment
    script = (
        "import sys; from tests.pair_world import PairWorld; PairWorld.load(sys.argv[1], sys.argv[2]).create('killed')"
    )
    arguments = [pair_world.stack.model_dump_json(), str(pair_world.programs)]
    creating = subprocess.Popen([sys.executable, "-c", script, *arguments], cwd=CHECKOUT)
    try:
        wait_for(f"{moment} is there", lambda: folder.exists() or creating.poll() is not None, poll_seconds=0.005)
        assert creating.poll() is None
        creating.kill()
        assert creating.wait() == -signal.SIGKILL
        made = pair_world.create("killed")
        assert read_state(made).is_whole
        with connect(made, "app") as session:
            session.execute("CREATE TABLE note (text text)")
    finally:
        delete_pair(pair_world.stack, "killed")


def test_a_copy_that_a_killed_run_left_running_is_ended(pair_world: PairWorld) -> None:
    """Whoever makes the standby next is alone in its folder."""
    made = pair_world.create("left")
    try:
        stop_node(made, "b")
        made.server("b").data.rename(made.folder / "b" / "old")
        options = made.account.subprocess_options() if made.account else {}
        left = subprocess.Popen(["/bin/sleep", "600"], cwd=made.folder / "b", **options)
        assert read_state(pair_world.create("left")).is_whole
        assert left.wait(10) == -signal.SIGKILL
    finally:
        delete_pair(pair_world.stack, "left")


def test_a_server_that_was_written_down_and_not_handed_over_is_handed_over(pair_world: PairWorld) -> None:
    """As SIGKILL between the two leaves it: the supervisor has not read the file that is there."""
    made = pair_world.create("told")
    try:
        stop_node(made, "b")
        with open_supervisor(pair_world.stack.supervisor_socket) as supervisor:
            config = pair_world.stack.state_dir / KEPT_FOLDER / f"{made.name('b')}.conf"
            hidden = config.rename(config.with_suffix(".hidden"))
            supervisor.removeProcessGroup(made.name("b"))
            supervisor.reloadConfig()
            hidden.rename(config)
        assert read_state(pair_world.create("told")).is_whole
    finally:
        delete_pair(pair_world.stack, "told")


def test_two_pairs_have_ports_of_their_own(pair_world: PairWorld) -> None:
    """The second one takes the next five."""
    first = pair_world.create("one")
    second = pair_world.create("other", SPEC.model_copy(update={"link_delay_ms": 20}))
    try:
        first_ports, second_ports = (set(one.record.ports.model_dump().values()) for one in (first, second))
        assert not first_ports & second_ports
        assert read_state(second).delay_ms == 20
    finally:
        delete_pair(pair_world.stack, "other")
        delete_pair(pair_world.stack, "one")
