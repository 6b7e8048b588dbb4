"""The jail and the scratch server: what runs there reaches nothing, and nothing of it stays."""

import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from blocks.postgres_binaries import find_postgres_binaries
from blocks.scratch import open_scratch
from blocks.scratch.folder import LOCK, clear_folders, lend_folder
from blocks.scratch.jail import ENTER, Jail
from blocks.settings import CHECKOUT
from domain.errors import RefusedError
from tests.integration.conftest import report_missing
from tests.polling import wait_for
from tests.postgres_server import PostgresServer

#: Verifies nothing: opens a scratch server, says so, and waits to be killed.
HOLDER = """
import sys, time
from pathlib import Path
from blocks.postgres_binaries import find_postgres_binaries
from blocks.scratch import open_scratch
from blocks.scratch.folder import lend_folder
with lend_folder(Path(sys.argv[1])) as folder, open_scratch(folder, find_postgres_binaries()):
    print("open", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def jail(postgres: PostgresServer, tmp_path: Path) -> Jail:
    """An empty jail."""
    jail = Jail(tmp_path / "scratch", postgres.binaries)
    jail.create()
    return jail


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server on this machine's loopback that nobody is to reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


def test_a_jail_sees_nothing_of_this_machine(jail: Jail, tmp_path: Path) -> None:
    """No file, no process, no account of it; and it may write in its folder alone."""
    (tmp_path / "secret").write_text("x")
    seen = jail.run("/bin/sh", "-c", f"cat {tmp_path}/secret; ls / /etc; cat /etc/passwd; kill -0 {os.getpid()}")
    assert "secret" not in seen.stdout
    names = set(seen.stdout.split())
    assert names.isdisjoint({"home", "root", "var", "proc", "sys", "shadow", "opt", "work"})
    assert seen.stdout.splitlines()[-1] == f"scratch:x:{jail.uid}:{jail.uid}::/scratch:/bin/false"
    assert "No such file" in seen.stderr
    assert "No such process" in seen.stderr
    assert jail.run("/bin/sh", "-c", "echo x > /scratch/x && cat /scratch/x").stdout == "x\n"
    for path in ("/x", "/etc/x", "/usr/x", "/dump/x"):
        assert jail.run("/bin/sh", "-c", f"echo x > {path}").returncode != 0, path


def test_a_jail_has_no_rights_and_no_account(jail: Jail) -> None:
    """Not root, no account of this machine, and a program that would make it root does not."""
    told = jail.run("/usr/bin/id").stdout
    assert f"uid={jail.uid}(scratch)" in told
    assert "root" not in told
    assert jail.run("/bin/sh", "-c", "mount -t tmpfs none /tmp; su -c id; chroot / id").returncode != 0


def test_a_jail_is_the_same_under_a_strict_umask(postgres: PostgresServer, tmp_path: Path) -> None:
    """A worker's runs have one: what the jail's user needs, it can read."""
    before = os.umask(0o077)
    try:
        jail = Jail(tmp_path / "scratch", postgres.binaries)
        jail.create()
        told = jail.run("/bin/sh", "-c", "id && echo x > /dev/null && echo x > /tmp/x")
    finally:
        os.umask(before)
    assert (told.returncode, "(scratch)" in told.stdout) == (0, True), told


def test_a_jail_reaches_nobody(jail: Jail, listener: socket.socket) -> None:
    """Not even what listens on this machine's own loopback."""
    port = listener.getsockname()[1]
    tried = jail.run("/bin/bash", "-c", f"echo x > /dev/tcp/127.0.0.1/{port}")
    assert tried.returncode != 0
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_what_reads_a_dump_sees_no_data(jail: Jail) -> None:
    """Of the server it has the socket; the dump it cannot change."""
    (jail.work / "socket").mkdir()
    (jail.work / "data").mkdir()
    assert jail.run_client("/bin/ls", "/scratch").stdout.split() == ["socket"]
    assert jail.run_client("/bin/sh", "-c", "echo x > /dump/x").returncode != 0


def test_a_program_that_takes_too_long_is_killed(jail: Jail) -> None:
    """With everything that it started."""
    with pytest.raises(subprocess.TimeoutExpired):
        jail.run("/bin/sh", "-c", "sleep 1234 & sleep 1234", timeout=0.5)
    assert _find_processes("sleep\x001234") == []


def _find_processes(mark: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (path / "cmdline").read_text(errors="replace"):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def test_where_no_jail_can_be_made_nothing_is_restored(tmp_path: Path) -> None:
    """Root without its rights is refused, with the way out."""
    program = (
        "from pathlib import Path; from blocks.scratch.jail import Jail; from domain.errors import RefusedError\n"
        f"try: Jail(Path({str(tmp_path / 'scratch')!r}), Path('/usr/bin')).create()\n"
        "except RefusedError as error: print(error)"
    )
    bare = ["unshare", "--user", "--map-root-user", "setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    done = subprocess.run([*bare, sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True)
    assert "can make no jail" in done.stdout, done
    assert "user namespaces" in done.stdout


def test_nobody_is_superuser_in_an_open_server(postgres: PostgresServer, tmp_path: Path) -> None:
    """Not who restores, and nobody else can connect; it archives nothing and listens on no address."""
    with open_scratch(tmp_path / "scratch", postgres.binaries) as server:
        with server.connect() as connection:
            (is_superuser,) = connection.execute("SELECT usesuper FROM pg_user WHERE usename = user").fetchone() or ()
            shown = [connection.execute(f"SHOW {name}").fetchone() for name in ("archive_mode", "listen_addresses")]
        with pytest.raises(psycopg.OperationalError):
            server.connect("keeper")
        with pytest.raises(psycopg.OperationalError):
            server.connect(database="postgres")
    assert is_superuser is False
    assert shown == [("off",), ("",)]
    assert not (tmp_path / "scratch").exists()


def test_a_killed_verification_leaves_a_folder_that_the_next_one_removes(tmp_path: Path) -> None:
    """Its server and all of its processes end with it."""
    parent = tmp_path / "state"
    command = [sys.executable, "-c", HOLDER, str(parent)]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        assert _find_processes(str(parent))
        clear_folders(parent)
        assert list(parent.iterdir()), "a living one keeps its folder"
        holder.send_signal(signal.SIGKILL)
    wait_for("its processes are gone", lambda: not _find_processes(str(parent)))
    (left,) = parent.iterdir()
    assert (left / LOCK).exists()
    with lend_folder(parent) as folder:
        assert not left.exists()
        assert folder.parent.exists()
    assert list(parent.iterdir()) == []


def test_a_user_without_rights_has_a_jail_too(tmp_path: Path) -> None:
    """By a user namespace, in which the restore works all the same."""
    if os.geteuid() != 0:
        pytest.skip("whoever runs this is such a user, and all tests of this file are this one")
    folder = Path("/var/tmp") / f"terrarium-{tmp_path.name}-{os.getpid()}"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)
    program = (
        "import sys; from pathlib import Path; from blocks.scratch import open_scratch\n"
        "with open_scratch(Path(sys.argv[1]), Path(sys.argv[2])) as server, server.connect() as connection:\n"
        "    print(connection.execute('SELECT 6 * 7').fetchone(), server.jail.run('/usr/bin/id', '-u').stdout)"
    )
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    interpreters = (f"/usr/bin/python{version}", sys.executable)
    found = [path for path in interpreters if _can_run([*as_nobody, path, "-c", f"open({str(ENTER)!r})"])]
    packages = sysconfig.get_path("purelib")
    try:
        if not found:
            report_missing("Another user can reach no Python, or not this checkout.")
        done = subprocess.run(
            [*as_nobody, found[0], "-c", program, str(folder / "scratch"), str(find_postgres_binaries())],
            cwd="/",
            env={"PYTHONPATH": f"{CHECKOUT}:{packages}", "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
        assert done.stdout.startswith("(42,)"), done.stderr
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)


def _can_run(command: list[str]) -> bool:
    return subprocess.run(command, cwd="/", capture_output=True).returncode == 0


def test_the_jail_is_told_what_to_do_by_nobody_else() -> None:
    """It is a program of the standard library alone, so nothing of a checkout runs with its rights."""
    assert "\nfrom blocks" not in ENTER.read_text()
    assert "\nfrom domain" not in ENTER.read_text()
    done = subprocess.run(
        [sys.executable, "-I", "-S", ENTER, json.dumps({"uid": 1})], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0


def test_refusal_is_a_refusal(tmp_path: Path) -> None:
    """What is no program of this machine is no reason to restore without a jail."""
    jail = Jail(tmp_path / "scratch", Path("/nowhere/bin"))
    with pytest.raises(RefusedError):
        jail.create()
