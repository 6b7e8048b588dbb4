"""A base backup and its WAL, recovered in a jail to the point that it promises, and made readable there.

A server that runs out of WAL before it reaches that point ends: so a segment that is missing at the end is noticed too,
which a recovery "to the latest" would call a success.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from blocks.scratch.jail import Jail
from blocks.scratch.server import (
    PREPARE_DATABASE,
    PREPARE_READER,
    ROLE,
    NoServerError,
    ScratchServer,
    answers,
    has_recovered,
    run_server,
)
from domain.errors import PermanentError
from domain.restore import EngineWords, read_engine_words

#: Settings that name files of the source's server, which are not here.
CONFIG = {"config_file": "/scratch/conf/postgresql.conf", "hba_file": "/scratch/conf/pg_hba.conf"}
VERIFY_SECONDS = 3600
#: What pg_basebackup leaves beside the data: each file with its checksum.
FILE_LIST = "backup_manifest"
NO_CHECKSUMS = "data checksums are not enabled"


class NotRecoveredError(Exception):
    """The server did not come to the point that its backup promises; the message is PostgreSQL's own."""


@dataclass(frozen=True)
class PhysicalBackup:
    """`base` is a folder as pg_basebackup writes it, `wal` one of archived segments; recovered up to `target_lsn`."""

    base: Path
    wal: Path
    target_lsn: str
    database: str


@dataclass(frozen=True)
class ReceivedPhysical:
    """Its copy in a jail: hash and size of all its files, and what `pg_verifybackup` says; None where it cannot."""

    sha256: str
    size_bytes: int
    words: EngineWords | None


def receive_physical(backup: PhysicalBackup, jail: Jail) -> ReceivedPhysical:
    """Copy it into the jail and look at it. Settings of the source stay behind."""
    data = jail.work / "data"
    shutil.copytree(backup.base, data, symlinks=True)
    shutil.copytree(backup.wal, jail.dump / "wal")
    sha256, size_bytes = hash_files(data, jail.dump / "wal")
    _give_all(jail, data)
    _give_all(jail, jail.dump / "wal")
    words = _check_files(jail)
    for name in ("postgresql.auto.conf", "standby.signal", "recovery.signal", "tablespace_map"):
        (data / name).unlink(missing_ok=True)
    return ReceivedPhysical(sha256, size_bytes, words)


def _check_files(jail: Jail) -> EngineWords | None:
    """What `pg_verifybackup` says, where the backup has PostgreSQL's own list of its files: barman keeps none."""
    if not (jail.work / "data" / FILE_LIST).exists():
        return None
    options = ("--no-parse-wal", "--quiet", "--exit-on-error")
    done = jail.run("pg_verifybackup", *options, "/scratch/data", timeout=VERIFY_SECONDS)
    return read_engine_words("pg_verifybackup", done.returncode, f"{done.stderr}\n{done.stdout}")


def check_checksums(jail: Jail) -> EngineWords:
    """What `pg_checksums` says of every page of a server that has ended in order; a server may have none."""
    done = jail.run("pg_checksums", "--check", "-D", "/scratch/data", timeout=VERIFY_SECONDS)
    if NO_CHECKSUMS in done.stderr:
        return EngineWords("pg_checksums", 0, ())
    return read_engine_words("pg_checksums", done.returncode, f"{done.stderr}\n{done.stdout}")


def hash_files(*folders: Path) -> tuple[str, int]:
    """Sha256 of the lines `SHA256  NAME` of all files, by name below their folder; and their size in bytes."""
    lines, size_bytes = [], 0
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
            with path.open("rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.relative_to(folder)}\n")
            size_bytes += path.stat().st_size
    return hashlib.sha256("".join(lines).encode()).hexdigest(), size_bytes


def _give_all(jail: Jail, folder: Path) -> None:
    jail.give(folder)
    folder.chmod(0o700)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            if path.is_symlink():
                raise PermanentError(
                    f"{path.name} of the base backup is a link.",
                    "Tablespaces outside the data folder are not verified: move their tables into it.",
                )
            jail.give(path)


@contextmanager
def open_recovered(
    jail: Jail, backup: PhysicalBackup, words: EngineWords | None
) -> Iterator[tuple[ScratchServer, EngineWords]]:
    """The server at the promised point, where a role without rights may read everything of one database.

    With it what the engine says: the words that there are, else those of `pg_checksums` after the recovery.
    NotRecoveredError where it cannot come there, with what PostgreSQL says.
    """
    _write_config(jail, backup.database)
    (jail.work / "data" / "recovery.signal").touch()
    jail.give(jail.work / "data" / "recovery.signal")
    recovery = {
        **CONFIG,
        "restore_command": "cp /dump/wal/%f %p",
        "recovery_target_lsn": backup.target_lsn,
        "recovery_target_inclusive": "off",  # the position is where what is promised ends
        "recovery_target_timeline": "latest",
        "recovery_target_action": "promote",
        "hot_standby": "off",
    }
    _recover(jail, backup.database, recovery)
    said = words or check_checksums(jail)
    _prepare(jail, backup.database)
    with run_server(jail, answers, backup.database, CONFIG) as server:
        yield server, said


def _write_config(jail: Jail, database: str) -> None:
    folder = jail.work / "conf"
    folder.mkdir(mode=0o700)
    (folder / "postgresql.conf").write_text("")
    (folder / "pg_hba.conf").write_text(f'local "{database}" {ROLE} trust\n')
    for path in (folder, *folder.iterdir()):
        jail.give(path)


def _recover(jail: Jail, database: str, settings: dict[str, str]) -> None:
    """Replay up to the target, be promoted, and end in order."""
    try:
        with run_server(jail, has_recovered, database, settings) as server:
            server.stop()
    except NoServerError as error:
        raise NotRecoveredError(error.summary) from error


def _prepare(jail: Jail, database: str) -> None:
    """In single-user mode, for nobody here has a password of the source's superuser, and nobody shall."""
    may_connect = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(database), sql.Identifier(ROLE))
    prepared = (*PREPARE_READER, may_connect.as_string(), *PREPARE_DATABASE)
    statements = "".join(f"{one};\n\n" for one in prepared)
    options = [word for name, value in CONFIG.items() for word in ("-c", f"{name}={value}")]
    command = ("--single", "-j", "-D", "/scratch/data", *options, database)
    done = jail.run("postgres", *command, text=statements, timeout=VERIFY_SECONDS)
    faults = [line for line in done.stderr.splitlines() if "ERROR:" in line or "FATAL:" in line]
    if done.returncode or faults:
        raise NotRecoveredError(" ".join(faults) or f"it ended with code {done.returncode}")
