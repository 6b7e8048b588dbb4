"""A database pair of real PostgreSQL servers under a supervisor: made, asked, broken, promoted and brought back."""

import os
import signal
from contextlib import suppress

import psycopg
import pytest

from blocks.kept_servers import (
    kill_server,
    list_kept,
    read_kept_parts,
    start_server,
    unfence_server,
)
from blocks.postgres.nodes import fence_node, rebuild_node, return_node, rewind_node, start_node, stop_node
from blocks.postgres.pair_files import Pair, open_pair
from blocks.postgres.relays import lead_gateway
from blocks.postgres.replication import prepare_primary, promote, read_node, read_primary, read_state, wait_for_replay
from blocks.postgres.session import connect
from blocks.process_folders import list_workers
from domain.errors import PermanentError, RefusedError, TemporaryError
from domain.pair import Node, other
from tests.pair_world import PairWorld, read_notes, write
from tests.polling import wait_for

pytestmark = pytest.mark.xdist_group("pair")


@pytest.fixture(scope="module")
def pair(pair_world: PairWorld) -> Pair:
    """One pair for the tests of this file, each of which leaves it whole."""
    return pair_world.create("trial")


def fail_over(pair: Pair) -> Node:
    """Fence the primary, promote the other, lead the clients there; the new primary."""
    old = read_primary(pair)
    fence_node(pair, old, "a test")
    promote(pair, other(old))
    prepare_primary(pair, other(old))
    lead_gateway(pair, other(old))
    return other(old)


def fail_back(pair: Pair) -> None:
    """Bring the fenced server back as the standby."""
    primary = read_primary(pair)
    assert rewind_node(pair, other(primary))
    return_node(pair, other(primary))
    wait_for_replay(pair, primary, 30)


def test_what_clients_write_at_the_gateway_is_on_the_standby(pair: Pair) -> None:
    """The pair is whole: one primary behind the gateway, a standby of the same timeline that applies its WAL."""
    write(pair, "hello")
    primary = read_primary(pair)
    wait_for_replay(pair, primary, 30)
    assert read_notes(pair, other(primary)) == read_notes(pair)
    state = read_state(pair)
    assert state.is_whole, state
    with pytest.raises(PermanentError, match="read-only"):
        write(pair, "refused", at=other(primary))


def test_made_again_nothing_changes(pair_world: PairWorld, pair: Pair) -> None:
    """The same processes run, with the same ports and passwords."""

    def read_pids() -> dict[str, int | None]:
        return {part.name: part.pid for part in read_kept_parts(pair_world.stack) if part.is_healthy}

    before = wait_for("all of them run", lambda: pids if len(pids := read_pids()) == 4 else None)
    again = pair_world.create("trial")
    assert read_pids() == before
    assert again.record == open_pair(pair_world.stack, "trial", pair_world.programs).record
    assert again.record.ports == pair.record.ports


def test_every_session_is_encrypted_and_brings_a_password(pair: Pair) -> None:
    """Without TLS, with a wrong password, or against another certificate there is none; replication has TLS too."""
    options = pair.conninfo("app") | {"sslmode": "disable"}
    options.pop("sslrootcert")
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(**options)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**pair.conninfo("app") | {"password": "wrong"})
    with pytest.raises(psycopg.OperationalError, match="certificate"):
        psycopg.connect(**pair.conninfo("app") | {"sslrootcert": "/etc/ssl/certs/ca-certificates.crt"})
    with connect(pair, at=read_primary(pair), database="postgres") as session:
        rows = session.execute(
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_replication USING (pid) WHERE application_name IN ('a', 'b')"
        ).fetchall()
    assert rows == [(True,)]


def test_roles_may_what_they_need(pair: Pair) -> None:
    """Who backs up reads everything and writes nothing; the probe has its own schema and does not see the data."""
    write(pair, "seen by backups")
    with connect(pair, "backup") as session:
        assert session.execute("SELECT count(*) FROM note").fetchone() != (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("INSERT INTO note (text) VALUES ('no')")
    with connect(pair, "probe") as session:
        session.execute("CREATE TABLE probe.mark (n bigint)")
        session.execute("DROP TABLE probe.mark")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("SELECT count(*) FROM note")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("CREATE TABLE public.mark (n bigint)")
    with connect(pair) as session:
        assert session.execute("SELECT rolname FROM pg_roles WHERE rolsuper").fetchall() == [("postgres",)]


def test_no_password_is_where_others_see_it(pair_world: PairWorld, pair: Pair) -> None:
    """Not in a command line, an environment, the supervisor's files, a log or a record; the file of them is private."""
    words = [pair.password(role).encode() for role in ("postgres", "app", "replicator", "backup", "probe")]
    texts = [path.read_bytes() for path in pair_world.stack.state_dir.glob("servers/*")]
    texts += [path.read_bytes() for path in pair_world.stack.state_dir.glob("logs/*")]
    texts.append((pair.folder / "pair.json").read_bytes())
    for server in list_kept(pair_world.stack):
        for pid in list_workers(server.directory):
            for name in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    texts.append(file.read())
    assert len(texts) > 10
    assert [text for text in texts if any(word in text for word in words)] == []
    assert (pair.folder / "passwords.json").stat().st_mode & 0o777 == 0o600


def test_a_failover_and_a_failback_lose_nothing_and_leave_the_pair_whole(pair: Pair) -> None:
    """Killed, the primary is fenced; the standby is promoted behind the same address; the old one is rewound."""
    write(pair, "before")
    old = read_primary(pair)
    wait_for_replay(pair, old, 30)
    new = fail_over(pair)
    assert new == other(old)
    write(pair, "after")
    assert {"before", "after"} <= read_notes(pair)
    assert read_node(pair, old).is_fenced
    with pytest.raises(RefusedError, match="is fenced"):
        start_node(pair, old)
    fail_back(pair)
    state = read_state(pair)
    assert state.is_whole, state
    assert read_notes(pair, old) == read_notes(pair, new)


def test_a_frozen_primary_is_fenced_with_all_its_backends(pair: Pair) -> None:
    """Every process of it is stopped, as a hung machine is: it is killed all the same, and a pinned session is over."""
    old = read_primary(pair)
    wait_for_replay(pair, old, 30)
    pinned = psycopg.connect(**pair.conninfo("app", at=old), autocommit=True)
    frozen = list_workers(pair.server(old).data)
    assert len(frozen) > 5
    for pid in frozen:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    assert fence_node(pair, old, "a test") > 5
    assert list_workers(pair.server(old).data) == set()
    with pytest.raises(psycopg.OperationalError):
        pinned.execute("INSERT INTO note (text) VALUES ('lost')")
    promote(pair, other(old))
    prepare_primary(pair, other(old))
    lead_gateway(pair, other(old))
    assert "lost" not in read_notes(pair)
    fail_back(pair)


def test_a_fenced_server_that_is_started_by_hand_takes_no_write(pair: Pair) -> None:
    """The signal of a standby is in its data: past the supervisor it is still no second primary."""
    old = read_primary(pair)
    wait_for_replay(pair, old, 30)
    new = fail_over(pair)
    unfence_server(pair.stack, pair.name(old))
    start_server(pair.stack, pair.name(old))
    wait_for("the old primary answers", lambda: read_node(pair, old).is_running)
    assert [one.node for one in read_state(pair).primaries] == [new]
    with pytest.raises(PermanentError, match="read-only"):
        write(pair, "refused", at=old)
    fence_node(pair, old, "a test")
    fail_back(pair)


def test_a_server_that_cannot_be_rewound_is_made_anew(pair: Pair) -> None:
    """Its old data is kept aside."""
    old = read_primary(pair)
    wait_for_replay(pair, old, 30)
    fail_over(pair)
    (pair.server(old).data / "global" / "pg_control").unlink()
    assert not rewind_node(pair, old)
    kept = rebuild_node(pair, old)
    assert (kept / "PG_VERSION").exists()
    return_node(pair, old)
    wait_for_replay(pair, other(old), 60)
    assert read_state(pair).is_whole


def test_a_killed_server_stays_down_until_it_is_started(pair: Pair) -> None:
    """The supervisor starts no server of a pair by itself: that would race with a failover.

    It calls a server that ended in its first second FATAL, a later one EXITED.
    """
    standby = other(read_primary(pair))
    kill_server(pair.stack, pair.name(standby))
    rows = wait_for(
        "the supervisor has seen it",
        lambda: [
            one
            for one in read_kept_parts(pair.stack)
            if one.name == pair.name(standby) and one.state in ("EXITED", "FATAL")
        ],
    )
    assert not rows[0].is_healthy
    start_node(pair, standby)
    wait_for_replay(pair, other(standby), 30)


def test_stopped_servers_come_back_with_their_data(pair: Pair) -> None:
    """As by `make down` and `make up`."""
    primary = read_primary(pair)
    write(pair, "kept")
    for node in (other(primary), primary):
        stop_node(pair, node)
    with pytest.raises(TemporaryError):
        read_notes(pair)
    for node in (primary, other(primary)):
        start_node(pair, node)
    assert read_primary(pair) == primary
    assert "kept" in read_notes(pair)
    wait_for_replay(pair, primary, 30)


def test_a_standby_that_was_away_too_long_is_made_anew(pair_world: PairWorld, pair: Pair) -> None:
    """The primary has let its WAL go: made again, the pair is whole."""
    primary = read_primary(pair)
    stop_node(pair, other(primary))
    with connect(pair, at=primary, database="postgres") as session:
        for name in ("max_slot_wal_keep_size", "wal_keep_size"):
            session.execute(f"ALTER SYSTEM SET {name} = '16MB'")
        session.execute("SELECT pg_reload_conf()")
        for _ in range(6):
            session.execute("SELECT pg_switch_wal()")
            session.execute("CHECKPOINT")
        for name in ("max_slot_wal_keep_size", "wal_keep_size"):
            session.execute(f"ALTER SYSTEM RESET {name}")
        session.execute("SELECT pg_reload_conf()")
        assert session.execute("SELECT wal_status FROM pg_replication_slots").fetchall() == [("lost",)]
    assert read_state(pair_world.create("trial")).is_whole
