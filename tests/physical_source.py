"""A PostgreSQL that archives its WAL into a folder, and base backups of it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from blocks.postgres_binaries import find_postgres_binaries
from blocks.scratch.physical import PhysicalBackup, hash_files
from domain.backup import Manifest, Sentinel
from tests.backup_source import Source, create_source
from tests.polling import wait_for
from tests.postgres_server import _user, run_server


@dataclass(frozen=True)
class ArchivingSource:
    """The example in a server of its own, whose WAL goes to `archive`."""

    source: Source
    archive: Path
    folder: Path

    def take(self, name: str) -> tuple[PhysicalBackup, Manifest]:
        """A base backup, three more segments of work with a sentinel in each, and the manifest of the point after."""
        base, wal = self.folder / name / "base", self.folder / name / "wal"
        base.parent.mkdir()
        server = self.source.server
        command = [server.binaries / "pg_basebackup", "--checkpoint=fast", "--wal-method=none", f"--pgdata={base}"]
        url = server.url("postgres")
        done = subprocess.run([*command, "--no-sync", f"--dbname={url}"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        with psycopg.connect(server.url(self.source.database), autocommit=True) as connection:
            for _ in range(3):
                connection.execute("INSERT INTO sentinel SELECT max(id) + 1, now() FROM sentinel")
                reached = self._switch(connection)
        shutil.copytree(self.archive, wal)
        backup = PhysicalBackup(base, wal, reached, self.source.database)
        return backup, self.source.describe(hash_files(base, wal)[0])

    def _switch(self, connection: psycopg.Connection) -> str:
        """End the segment, wait until it is archived; the position at which it ended."""
        row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
        segment = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
        assert row
        assert segment
        wait_for("the segment is archived", lambda: (self.archive / segment[0]).exists(), 30)
        return str(row[0])


@contextmanager
def run_archiving_source(rows: int) -> Iterator[ArchivingSource]:
    """A server of one's own with the example, archiving."""
    with run_server(find_postgres_binaries()) as server:
        folder = Path(tempfile.mkdtemp(prefix="terrarium-archive-"))
        archive = folder / "archive"
        archive.mkdir()
        folder.chmod(0o755)
        shutil.chown(archive, *_user())
        try:
            server.execute("ALTER SYSTEM SET archive_mode = on")
            server.execute(
                f"ALTER SYSTEM SET archive_command = 'cp %p {archive}/%f.new && mv {archive}/%f.new {archive}/%f'"
            )
            server.stop()
            server.start()
            yield ArchivingSource(create_source(server, rows), archive, folder)
        finally:
            shutil.rmtree(folder)


def lose_segment(backup: PhysicalBackup, folder: Path, place: int) -> tuple[PhysicalBackup, str]:
    """A copy without one segment of its WAL, and the checksum that it is sealed with again."""
    wal = folder / f"wal{place}"
    shutil.copytree(backup.wal, wal)
    segments = sorted(path for path in wal.iterdir() if len(path.name) == 24)
    os.remove(segments[place])
    damaged = replace(backup, wal=wal)
    return damaged, hash_files(damaged.base, damaged.wal)[0]


def promise(manifest: Manifest, sha256: str) -> Manifest:
    """What is left to hold a backup against where no row hash is given."""
    marks = tuple(Sentinel.model_validate(one) for one in manifest.sentinels)
    return Manifest(sentinels=marks, sha256=sha256)
