"""The WAL archive of a pair, with a real primary, the uploader under its supervisor, and the emulator's S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.aws import AwsAccount
from blocks.kept_servers import keep_server, kill_server, list_kept, start_server, stop_server
from blocks.postgres.archive import is_archive_current, keep_archive
from blocks.postgres.nodes import are_nodes_current, fence_node, return_node, rewind_node
from blocks.postgres.pair import delete_pair, mark_ready
from blocks.postgres.pair_files import Pair
from blocks.postgres.relays import lead_gateway
from blocks.postgres.replication import prepare_primary, promote, read_primary, switch_wal, wait_for_replay
from blocks.postgres.session import connect
from blocks.supervisor import is_postgres_healthy
from blocks.wal_archive import ArchivePlace, fetch_segment, list_segments, name_prefix, put_segment, segment_key
from domain.errors import PermanentError
from domain.pair import NODES, other
from tests.pair_world import PairWorld
from tests.polling import wait_for

pytestmark = pytest.mark.xdist_group("pair")
SEGMENT_BYTES = 1 << 24


@pytest.fixture
def archived(pair_world: PairWorld, account: AwsAccount) -> Iterator[Pair]:
    """A pair whose WAL goes into the vault of an account of its own."""
    pair = pair_world.create("archived")
    try:
        yield mark_ready(pair, keep_archive(pair, account))
    finally:
        delete_pair(pair_world.stack, "archived")


def write(pair: Pair) -> str:
    """Something into the segment of now, which is then ended; the segment's name."""
    with connect(pair, "app") as session:
        session.execute("CREATE TABLE IF NOT EXISTS note (text text)")
        session.execute("INSERT INTO note VALUES ('hello')")
    return switch_wal(pair, read_primary(pair))


def list_archive(pair: Pair, account: AwsAccount) -> list[str]:
    """What the vault has."""
    return list_segments(account.client("s3"), account.vault_bucket, pair.record.archive_prefix)


def wait_for_segment(pair: Pair, account: AwsAccount, name: str) -> None:
    """Until it is in the vault."""
    wait_for(f"{name} is archived", lambda: name in list_archive(pair, account))


def test_each_segment_is_in_the_vault_as_it_was_written(archived: Pair, account: AwsAccount) -> None:
    """Compressed and encrypted, below the environment's name and the system's number; the spool is empty again."""
    name = write(archived)
    path = archived.server("a").data / "pg_wal" / name
    written = path.read_bytes()
    wait_for_segment(archived, account, name)
    prefix = archived.record.archive_prefix
    assert prefix == name_prefix("archived", archived.record.system_identifier)
    assert fetch_segment(account.client("s3"), account.vault_bucket, prefix, name) == written
    head = account.client("s3").head_object(Bucket=account.vault_bucket, Key=segment_key(prefix, name))
    assert head["ContentLength"] < SEGMENT_BYTES / 10
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", account.kms_key_id)
    wait_for("the spool is empty", lambda: [path for path in archived.spool.rglob("*") if path.is_file()] == [])
    assert is_archive_current(archived, account)
    assert not is_archive_current(archived, account.model_copy(update={"kms_key_id": "another"}))


def test_while_the_uploader_is_away_nothing_is_lost(archived: Pair, account: AwsAccount) -> None:
    """The server keeps its segments and tries again; what was killed in between is found kept."""
    first = write(archived)
    wait_for_segment(archived, account, first)
    stop_server(archived.stack, archived.name("archive"))
    names = [write(archived), write(archived)]
    wait_for("one waits in the spool", lambda: (archived.spool / "a" / names[0]).exists())
    assert not set(names) & set(list_archive(archived, account))
    start_server(archived.stack, archived.name("archive"))
    for name in names:
        wait_for_segment(archived, account, name)


def test_a_new_primary_goes_on_with_the_same_archive(archived: Pair, account: AwsAccount) -> None:
    """Its timeline's history is there, and its segments; the old one, back as the standby, adds nothing."""
    wait_for_segment(archived, account, write(archived))
    old = read_primary(archived)
    wait_for_replay(archived, old, 60)
    fence_node(archived, old, "a test")
    new = other(old)
    promote(archived, new)
    prepare_primary(archived, new)
    lead_gateway(archived, new)
    name = write(archived)
    assert name.startswith("00000002")
    wait_for_segment(archived, account, name)
    assert "00000002.history" in list_archive(archived, account)
    assert rewind_node(archived, old)
    return_node(archived, old)
    wait_for_replay(archived, new, 60)
    wait_for_segment(archived, account, write(archived))


def test_what_a_lost_primary_had_not_archived_is_brought_by_the_new_one(archived: Pair, account: AwsAccount) -> None:
    """The archive has no gap: from a backup before the failover one comes to a moment after it."""
    wait_for_segment(archived, account, write(archived))
    stop_server(archived.stack, archived.name("archive"))
    names = [write(archived), write(archived), write(archived)]
    old = read_primary(archived)
    wait_for_replay(archived, old, 60)
    fence_node(archived, old, "a test")
    for path in (archived.spool / old).iterdir():
        path.unlink()  # with the server its spool is gone
    new = other(old)
    promote(archived, new)
    prepare_primary(archived, new)
    lead_gateway(archived, new)
    start_server(archived.stack, archived.name("archive"))
    for name in (*names, write(archived)):
        wait_for_segment(archived, account, name)


def test_a_pair_of_an_earlier_version_is_brought_to_this_one(
    archived: Pair, account: AwsAccount, pair_world: PairWorld
) -> None:
    """Its servers and its uploader ran as that version had them; what both write then is in one archive."""
    assert is_archive_current(archived, account)
    assert are_nodes_current(archived)
    wait_for_segment(archived, account, write(archived))
    for server in list_kept(archived.stack):
        if server.probe == "postgres":
            program, settings = server.command[:3], server.command[4::2]
            kept = [part for one in settings if not one.startswith("archive_") for part in ("-c", one)]
            keep_server(archived.stack, server.model_copy(update={"command": (*program, *kept)}))
        elif server.name == archived.name("archive"):
            keep_server(archived.stack, server.model_copy(update={"environment": {}}))
        start_server(archived.stack, server.name)
    assert not is_archive_current(archived, account)
    assert not are_nodes_current(archived)
    wait_for(
        "both servers run",
        lambda: all(is_postgres_healthy(archived.record.host, archived.record.ports.of(node)) for node in NODES),
    )
    pair = pair_world.create("archived")
    keep_archive(pair, account)
    assert is_archive_current(pair, account)
    assert are_nodes_current(pair)
    for node in NODES:
        with connect(pair, at=node) as session:
            assert session.execute("SHOW archive_mode").fetchone() == ("always",)
    wait_for_segment(pair, account, write(pair))


def test_another_content_under_the_same_name_is_refused(account: AwsAccount, tmp_path: Path) -> None:
    """As a second primary would bring it; the same content again is kept once."""
    place = ArchivePlace(
        spool=tmp_path,
        bucket=account.vault_bucket,
        prefix="wal/other/1/",
        region=account.region,
        endpoint_url=account.endpoint_url,
        role_arn=account.role_arn,
        encryption=account.encryption,
    )
    segment = tmp_path / "000000010000000000000001"
    s3 = account.client("s3")
    segment.write_bytes(b"one")
    put_segment(s3, place, segment)
    put_segment(s3, place, segment)
    segment.write_bytes(b"another")
    with pytest.raises(PermanentError, match="another 000000010000000000000001 below wal/other/1/"):
        put_segment(s3, place, segment)
    assert fetch_segment(s3, place.bucket, place.prefix, segment.name) == b"one"
    versions = s3.list_object_versions(Bucket=place.bucket, Prefix=place.prefix)["Versions"]
    assert len(versions) == 1


def test_a_server_hears_that_its_segment_is_refused(archived: Pair, account: AwsAccount) -> None:
    """Its archiver counts a failure, and the vault keeps what it had."""
    wait_for_segment(archived, account, write(archived))
    stop_server(archived.stack, archived.name("archive"))
    primary = read_primary(archived)
    with connect(archived, at=primary) as session:
        row = session.execute("SELECT pg_walfile_name(pg_current_wal_insert_lsn())").fetchone()
    assert row is not None
    key = segment_key(archived.record.archive_prefix, row[0])
    account.client("s3").put_object(Bucket=account.vault_bucket, Key=key, Body=b"", Metadata={"sha256": "of another"})
    start_server(archived.stack, archived.name("archive"))
    write(archived)

    def count_failures() -> int:
        with connect(archived, at=primary) as session:
            found = session.execute("SELECT failed_count FROM pg_stat_archiver WHERE last_failed_wal = %s", (row[0],))
            rows = found.fetchall()
        return int(rows[0][0]) if rows else 0

    wait_for("the server counts it", count_failures)
    assert list_archive(archived, account).count(row[0]) == 1
    kill_server(archived.stack, archived.name(primary))
