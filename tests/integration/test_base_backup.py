"""Base backups by barman of a real primary, its WAL out of the archive, and what its standby says was there."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from blocks.aws import AwsAccount
from blocks.backup_vault import delete_backup, list_keys
from blocks.barman import SERVER, _read_credentials, fetch_base, take_base
from blocks.base_archive import UnreadableBaseError
from blocks.postgres.account import give, make_folder
from blocks.postgres.archive import keep_archive
from blocks.postgres.cluster import ServerFolder, start_scratch, stop_scratch
from blocks.postgres.nodes import fence_node, return_node, rewind_node, start_node, stop_node
from blocks.postgres.pair import delete_pair, mark_ready
from blocks.postgres.pair_files import Pair
from blocks.postgres.recovery_point import describe_point
from blocks.postgres.relays import cut_link, lead_gateway, mend_link
from blocks.postgres.replication import prepare_primary, promote, read_node, read_primary, wait_for_replay
from blocks.postgres.session import connect
from blocks.scratch.physical import PhysicalBackup, hash_files
from blocks.scratch.verification import Wanted, verify_physical
from blocks.wal_copy import delete_wal, fetch_wal, list_archived, wait_for_segments
from domain.backup import BackupVerdict, Manifest, Question, VerdictStatus
from domain.backup_wal import list_needed, read_label
from domain.errors import TemporaryError
from domain.pair import DATABASE, other
from tests.outside_archives import ESCAPED, pack_long_path, pack_parent
from tests.pair_world import PairWorld

from .conftest import find_free_port

pytestmark = pytest.mark.xdist_group("pair")
FOLDER = "backups/physical/one"


@pytest.fixture(scope="module")
def pair_of_module(pair_world: PairWorld) -> Iterator[Pair]:
    """A pair with some rows, for all tests of this file."""
    pair = pair_world.create("physical")
    try:
        with connect(pair, "app") as session:
            session.execute("CREATE TABLE note AS SELECT n AS id, md5(n::text) AS text FROM generate_series(1, 5000) n")
        yield pair
    finally:
        delete_pair(pair_world.stack, "physical")


@pytest.fixture
def archived(pair_of_module: Pair, account: AwsAccount) -> Pair:
    """The pair, archiving into the vault of a test's own account."""
    return mark_ready(pair_of_module, keep_archive(pair_of_module, account))


@dataclass(frozen=True)
class Taken:
    """A base backup as it is in the vault."""

    account: AwsAccount
    pair: Pair
    manifest: Manifest
    names: list[str]

    def fetch(self, folder: Path) -> PhysicalBackup:
        """Bring it here."""
        base, wal = folder / "base", folder / "wal"
        fetch_base(self.account, FOLDER, base)
        fetch_wal(self.account, self.pair.record.archive_prefix, self.names, wal)
        return PhysicalBackup(base, wal, self.manifest.wal_position or "", DATABASE)

    def verify(self, folder: Path, manifest: Manifest | None = None) -> BackupVerdict:
        """Bring it here and ask it."""
        backup, wanted = self.fetch(folder), Wanted(manifest=manifest or self.manifest)
        return verify_physical(backup, wanted, folder / "scratch", self.pair.programs)


def take(account: AwsAccount, pair: Pair, folder: Path, follow_seconds: float = 30) -> Taken:
    """Taken, with its promise; sealed by what the vault gives back."""
    primary = read_primary(pair)
    take_base(account, pair, primary, FOLDER, folder / "work")
    manifest = describe_point(pair, primary, "one", follow_seconds)
    fetch_base(account, FOLDER, folder / "first")
    names = list_needed(read_label((folder / "first" / "backup_label").read_text()).segment, str(manifest.wal_to))
    wait_for_segments(account, pair.record.archive_prefix, names, 60)
    assert fetch_wal(account, pair.record.archive_prefix, names, folder / "first-wal") == []
    sha256 = hash_files(folder / "first", folder / "first-wal")[0]
    return Taken(account, pair, manifest.model_copy(update={"sha256": sha256}), names)


def test_what_is_promised_under_load_is_what_is_recovered(archived: Pair, account: AwsAccount, tmp_path: Path) -> None:
    """A writer never rests; rows and hashes at the promised position are those of the recovery, to the row."""
    stop = threading.Event()

    def write() -> None:
        with connect(archived, "app") as session:
            session.execute("CREATE TABLE IF NOT EXISTS load (id bigint GENERATED ALWAYS AS IDENTITY, text text)")
            while not stop.is_set():
                session.execute("INSERT INTO load (text) VALUES (md5(random()::text))")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        taken = take(account, archived, tmp_path)
    finally:
        stop.set()
        writer.join()
    with connect(archived, "app") as session:
        (after,) = session.execute("SELECT count(*) FROM load").fetchone() or (0,)
    promised = taken.manifest.tables["public.load"].rows
    assert promised is not None
    assert 0 < promised < after
    assert taken.manifest.tables["public.note"].rows == 5000
    verdict = taken.verify(tmp_path)
    assert faults_of(verdict) == []
    assert verdict.status == VerdictStatus.PASSED
    assert verdict.questions[Question.ENGINE].figures["asked"] == "pg_checksums, pg_amcheck"
    assert verdict.recovery_point_at == taken.manifest.recovery_point_at
    head = account.client("s3").head_object(Bucket=account.vault_bucket, Key=list_keys(account, FOLDER)[-1])
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", account.kms_key_id)
    standby = read_node(archived, other(read_primary(archived)))
    assert standby.is_streaming
    with connect(archived, at=standby.node, database="postgres") as session:
        assert session.execute("SELECT pg_is_wal_replay_paused()").fetchone() == (False,)


def test_a_missing_segment_is_noticed(archived: Pair, account: AwsAccount, tmp_path: Path) -> None:
    """By the server that cannot come to the promised position; and it is waited for while a backup is taken."""
    taken = take(account, archived, tmp_path)
    prefix = archived.record.archive_prefix
    delete_wal(account, prefix, [taken.names[-1]])
    assert taken.names[-1] not in list_archived(account, prefix)
    with pytest.raises(TemporaryError, match=f"has no {taken.names[-1]}"):
        wait_for_segments(account, prefix, taken.names, 0.1)
    verdict = taken.verify(tmp_path, taken.manifest.model_copy(update={"sha256": None}))
    assert verdict.status == VerdictStatus.FAILED
    assert verdict.questions[Question.ENGINE].passed is False
    assert "recovery target" in str(verdict.questions[Question.ENGINE].faults)


def test_a_damaged_page_is_noticed(archived: Pair, account: AwsAccount, tmp_path: Path) -> None:
    """By PostgreSQL's own checksums, where nobody kept one of the whole."""
    taken = take(account, archived, tmp_path)
    backup = taken.fetch(tmp_path)
    with connect(archived, "app") as session:
        # A catalog that nothing writes: a page of `note` that is touched after the base comes whole out of the WAL.
        (path,) = session.execute("SELECT pg_relation_filepath('pg_ts_config_map')").fetchone() or ("",)
    page = bytearray((backup.base / path).read_bytes())
    page[5000] ^= 0x10
    (backup.base / path).write_bytes(page)
    wanted = Wanted(manifest=taken.manifest.model_copy(update={"sha256": None, "tables": {}}))
    verdict = verify_physical(backup, wanted, tmp_path / "scratch", archived.programs)
    assert verdict.questions[Question.ENGINE].passed is False
    assert "checksum verification failed" in str(verdict.questions[Question.ENGINE].faults)


def test_what_cannot_be_unpacked_is_said(archived: Pair, account: AwsAccount, tmp_path: Path) -> None:
    """A truncated archive, those that would write outside their folder, and none at all."""
    taken = take(account, archived, tmp_path)
    (key,) = (key for key in list_keys(account, FOLDER) if key.endswith(".tar.lz4"))
    s3 = account.client("s3")
    content = s3.get_object(Bucket=account.vault_bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=account.vault_bucket, Key=key, Body=content[: len(content) // 2])
    with pytest.raises(UnreadableBaseError, match="cannot be unpacked"):
        taken.fetch(tmp_path / "truncated")
    for pack in (pack_parent, pack_long_path):
        s3.put_object(Bucket=account.vault_bucket, Key=key, Body=pack())
        (tmp_path / pack.__name__).mkdir()
        (tmp_path / pack.__name__ / ESCAPED).write_text("ours")
        with pytest.raises(UnreadableBaseError, match=r"outside the destination|neither a file nor a folder"):
            taken.fetch(tmp_path / pack.__name__)
        assert (tmp_path / pack.__name__ / ESCAPED).read_text() == "ours"
    delete_backup(account, FOLDER)
    delete_backup(account, FOLDER)
    assert list_keys(account, FOLDER) == []
    with pytest.raises(UnreadableBaseError, match="has no base backup"):
        taken.fetch(tmp_path / "gone")


def faults_of(verdict: BackupVerdict) -> list[str]:
    """Everything that a verdict found."""
    return [fault for found in verdict.questions.values() for fault in found.faults]


def test_barmans_own_restore_reads_it(archived: Pair, account: AwsAccount, tmp_path: Path) -> None:
    """By hand, without Terrarium: as docs/backups.md says."""
    taken = take(account, archived, tmp_path)
    place = ["--endpoint-url", str(account.endpoint_url), "--addressing-style", "path"]
    about = [f"s3://{account.vault_bucket}/{FOLDER}", SERVER]
    backup_id = next(key for key in list_keys(account, FOLDER) if key.endswith("backup.info")).split("/")[-2]
    command = [sys.executable, "-m", "barman.clients.cloud_restore", *place, *about, backup_id, tmp_path / "by-hand"]
    done = subprocess.run(command, env=_read_credentials(account)[0], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wal = tmp_path / "first-wal"
    assert hash_files(tmp_path / "by-hand", wal)[0] == taken.manifest.sha256
    assert count_by_hand(taken, tmp_path / "by-hand", wal) == 5000


#: The settings of docs/backups.md.
BY_HAND = """
archive_mode = off
restore_command = 'cp {wal}/%f %p'
recovery_target_lsn = '{position}'
recovery_target_inclusive = off
recovery_target_action = promote
"""


def count_by_hand(taken: Taken, restored: Path, wal: Path) -> int:
    """The rows of a server that is started from it as the documents say, by its own account and password."""
    pair = taken.pair
    server = ServerFolder(pair.folder.parent / "by-hand", pair.programs, pair.account)
    make_folder(server.folder, pair.account)
    shutil.copytree(restored, server.data)
    shutil.copytree(wal, server.folder / "wal")
    (server.data / "postgresql.auto.conf").unlink()
    (server.data / "recovery.signal").touch()
    with (server.data / "postgresql.conf").open("a") as file:
        file.write(BY_HAND.format(wal=server.folder / "wal", position=taken.manifest.wal_position))
    for path in (server.folder, *server.folder.rglob("*")):
        give(path, pair.account)
    server.data.chmod(0o700)
    port = find_free_port()
    settings = {"port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
    try:
        start_scratch(server, settings)
        place = {**pair.conninfo("app"), "host": "127.0.0.1", "port": port, "sslmode": "require"}
        with psycopg.connect(**place) as session:
            return int((session.execute("SELECT count(*) FROM note").fetchone() or (0,))[0])
    finally:
        stop_scratch(server)
        shutil.rmtree(server.folder)


def test_without_a_standby_the_proof_is_incomplete(archived: Pair, account: AwsAccount, tmp_path: Path) -> None:
    """Nobody can be asked what is at a position: the manifest says so, the rest is proved, the data stays owed."""
    standby = other(read_primary(archived))
    stop_node(archived, standby)
    try:
        taken = take(account, archived, tmp_path, follow_seconds=0.5)
    finally:
        start_node(archived, standby)
    assert taken.manifest.tables == {}
    assert taken.manifest.sentinels
    verdict = taken.verify(tmp_path)
    assert faults_of(verdict) == []
    assert verdict.status == VerdictStatus.INCOMPLETE
    assert f"the standby {standby} did not answer" in verdict.questions[Question.DATA].unasked
    assert verdict.questions[Question.SENTINELS].passed is True
    wait_for_replay(archived, read_primary(archived), 60)


def test_a_standby_that_does_not_follow_is_waited_for(archived: Pair) -> None:
    """It answers, so what it holds is worth a while; nothing weaker is promised in silence."""
    primary = read_primary(archived)
    wait_for_replay(archived, primary, 60)
    cut_link(archived)
    try:
        with pytest.raises(TemporaryError, match="answers and does not follow"):
            describe_point(archived, primary, "one", 0.5)
    finally:
        mend_link(archived)
    wait_for_replay(archived, primary, 60)
    assert describe_point(archived, primary, "one").tables["public.note"].rows == 5000


def test_a_base_backup_of_a_later_timeline_is_recovered(archived: Pair, account: AwsAccount, tmp_path: Path) -> None:
    """After a failover: the new primary's WAL, with the history of its timeline."""
    old = read_primary(archived)
    wait_for_replay(archived, old, 60)
    fence_node(archived, old, "a test")
    promote(archived, other(old))
    prepare_primary(archived, other(old))
    lead_gateway(archived, other(old))
    assert rewind_node(archived, old)
    return_node(archived, old)
    wait_for_replay(archived, other(old), 60)
    taken = take(account, archived, tmp_path)
    assert taken.names[0].startswith("00000002")
    assert taken.manifest.tables["public.note"].rows == 5000
    verdict = taken.verify(tmp_path)
    assert faults_of(verdict) == []
    assert verdict.status == VerdictStatus.PASSED
