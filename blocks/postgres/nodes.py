"""The servers of a pair as processes and folders: made, started, stopped, fenced and brought back to their pair.

Invariant: a server's data directory comes into being whole (another name until it is), and a fenced server's holds
the signal of a standby, so that it could not take a write even if somebody started it by hand.
"""

import shutil
import time
from pathlib import Path

from blocks.kept_servers import (
    KeptServer,
    fence_server,
    keep_server,
    kill_server,
    list_kept,
    start_server,
    stop_server,
    unfence_server,
)
from blocks.postgres.account import make_folder, write_owned
from blocks.postgres.cluster import ServerFolder, initialise
from blocks.postgres.config import ACCESS, node_command, slot_name, write_config
from blocks.postgres.pair_files import LINK_SECONDS, Pair
from blocks.postgres.replication import checkpoint, create_slot, drop_lost_slot
from blocks.postgres.session import connect
from blocks.process_folders import kill_workers
from blocks.supervisor import is_postgres_healthy
from domain.errors import PermanentError, TemporaryError
from domain.pair import NODES, SUPERUSER, Node, other

SIGNAL = "standby.signal"
#: Seconds. A base backup goes over the link, with its delay.
COPY_SECONDS = 1800.0
START_SECONDS = 60.0
#: Longer than an archive command waits: an orderly stop ends only after it.
STOP_SECONDS = 30
POLL_SECONDS = 0.02


def create_primary(pair: Pair, node: Node) -> None:
    """Make the first server's data, empty, where neither server has any. It is started by `start_node`."""
    server = pair.server(node)
    if server.data.exists():
        return
    unfinished = _begin_copy(pair, node)
    initialise(unfinished, SUPERUSER, pair.password(SUPERUSER))
    with (unfinished.data / "postgresql.conf").open("a") as file:
        file.write(write_config(pair))
    write_owned(unfinished.data / "pg_hba.conf", ACCESS, server.account)
    for name in ("server.key", "server.crt"):
        write_owned(unfinished.data / name, (pair.folder / name).read_text(), server.account)
    unfinished.data.rename(server.data)
    unfinished.folder.rmdir()


def create_standby(pair: Pair, node: Node) -> None:
    """Copy the running primary's data over the link, where the server has none. It is started by `start_node`."""
    server, primary = pair.server(node), other(node)
    if server.data.exists():
        return
    with connect(pair, at=primary, database="postgres") as session:
        drop_lost_slot(session, node)
        create_slot(session, node)
    unfinished = _begin_copy(pair, node)
    environment = pair.variables("replicator") | {"PGPORT": str(pair.record.ports.link_to(primary))}
    environment |= {"PGSSLROOTCERT": str(pair.certificate), "PGCONNECT_TIMEOUT": str(LINK_SECONDS)}
    arguments = ("-D", str(unfinished.data), "--wal-method=stream", f"--slot={slot_name(node)}", "--checkpoint=fast")
    server.check("pg_basebackup", *arguments, environment=environment, timeout_seconds=COPY_SECONDS)
    _make_standby(unfinished)
    unfinished.data.rename(server.data)
    unfinished.folder.rmdir()


def keep_node(pair: Pair, node: Node) -> None:
    """Hand the server to the supervisor. It never restarts by itself: that would race with a failover."""
    keep_server(
        pair.stack,
        KeptServer(
            name=pair.name(node),
            owner=pair.environment,
            order=20 if node == "a" else 21,
            command=node_command(pair, node),
            directory=pair.server(node).data,
            user=pair.account.name if pair.account else "",
            port=pair.record.ports.of(node),
            probe="postgres",
            stop_signal="INT",
            stop_seconds=STOP_SECONDS,
            restarts=False,
        ),
    )


def are_nodes_current(pair: Pair) -> bool:
    """Both servers are started as this version starts them: those that an earlier one made are not."""
    kept = {server.name: server.command for server in list_kept(pair.stack)}
    return all(kept.get(pair.name(node)) == node_command(pair, node) for node in NODES)


def start_node(pair: Pair, node: Node, timeout_seconds: float = START_SECONDS) -> None:
    """Start a server and wait until it accepts sessions. RefusedError for a fenced one."""
    _check_version(pair, node)
    start_server(pair.stack, pair.name(node))
    deadline = time.monotonic() + timeout_seconds
    while not is_postgres_healthy(pair.record.host, pair.record.ports.of(node)):
        if time.monotonic() > deadline:
            raise TemporaryError(
                f"{pair.environment}: server {node} of the database pair accepts no session after "
                f"{timeout_seconds:.0f} s.",
                f"Its log is {pair.stack.state_dir / 'logs' / pair.name(node)}.log.",
            )
        time.sleep(POLL_SECONDS)


def stop_node(pair: Pair, node: Node) -> None:
    """Stop a server in order: its sessions end, what it wrote is on its standby and in the archive."""
    stop_server(pair.stack, pair.name(node))


def fence_node(pair: Pair, node: Node, reason: str) -> int:
    """Make sure that a server takes no write, now or later: marked, killed, proved dead; how many processes that were.

    The mark comes first: whoever dies between the steps leaves a server that nobody starts. PermanentError without the
    proof: then nobody may be promoted.
    """
    fence_server(pair.stack, pair.name(node), reason)
    killed = kill_server(pair.stack, pair.name(node))
    signal = pair.server(node).data / SIGNAL
    if signal.parent.exists() and not signal.exists():
        write_owned(signal, "", pair.account)
    return killed


def rewind_node(pair: Pair, node: Node) -> bool:
    """Bring a fenced server's data to where the new primary's began to differ; whether it could be.

    What only this server had is gone then: who wants to count it does so before. Repeatable, also where an earlier
    one was interrupted. False: pg_rewind cannot (WAL is missing, or an interrupted one left nonsense); then
    `rebuild_node`.
    """
    server, primary = pair.server(node), other(node)
    kill_workers(server.folder, f"an earlier pg_rewind of {pair.name(node)}")
    checkpoint(pair, primary)
    (server.data / SIGNAL).unlink(missing_ok=True)  # single-user recovery, which pg_rewind runs, refuses it
    (server.data / "postmaster.pid").unlink(missing_ok=True)  # proved dead: the number may be another process's by now
    environment = pair.variables(SUPERUSER, at=primary, database="postgres")
    source = " ".join(f"{key}='{environment[name]}'" for key, name in _SOURCE.items())
    arguments = ("-D", str(server.data), f"--source-server={source}")
    try:
        done = server.run("pg_rewind", *arguments, environment=environment, timeout_seconds=COPY_SECONDS)
    finally:
        _make_standby(server)
    return done.returncode == 0


def rebuild_node(pair: Pair, node: Node) -> Path:
    """Make a fenced server's data anew from the primary; where its old data is kept, until the next rebuild."""
    server = pair.server(node)
    kept = server.folder / "data.before"
    if server.data.exists():
        shutil.rmtree(kept, ignore_errors=True)
        server.data.rename(kept)
    create_standby(pair, node)
    return kept


def return_node(pair: Pair, node: Node) -> None:
    """Start a server, whose data is the primary's again, as the standby: from here on it is fenced no more."""
    with connect(pair, at=other(node), database="postgres") as session:
        drop_lost_slot(session, node)
        create_slot(session, node)
    _make_standby(pair.server(node))
    unfence_server(pair.stack, pair.name(node))
    keep_node(pair, node)
    start_node(pair, node)


_SOURCE = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}


def _make_standby(server: ServerFolder) -> None:
    """A standby's signal; and nothing of what `ALTER SYSTEM` said on the primary, such as whom commits wait for."""
    write_owned(server.data / SIGNAL, "", server.account)
    write_owned(server.data / "postgresql.auto.conf", "", server.account)


def _check_version(pair: Pair, node: Node) -> None:
    server = pair.server(node)
    made_by, version = (server.data / "PG_VERSION").read_text().strip(), server.read_version()
    if version.split(".")[0] != made_by:
        raise PermanentError(
            f"{pair.environment}: its database pair was made by PostgreSQL {made_by}; {server.programs} has {version}.",
            f"Set TERRARIUM_POSTGRES_BIN_DIR to PostgreSQL {made_by}, run `make up`, and try again.",
        )


def _begin_copy(pair: Pair, node: Node) -> ServerFolder:
    """An empty folder beside the server's data. What a killed run had begun there still runs, and is ended first."""
    server = pair.server(node)
    unfinished = ServerFolder(server.folder / "new", server.programs, server.account)
    for folder in (server.folder, unfinished.folder):
        kill_workers(folder, f"an earlier copy of {pair.name(node)}")
    shutil.rmtree(unfinished.folder, ignore_errors=True)
    make_folder(unfinished.folder, unfinished.account)
    return unfinished
