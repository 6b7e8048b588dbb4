"""`pg_dump` and `pg_restore` of one database. The password is in the child's environment, in no argument or message."""

import os
import subprocess
from pathlib import Path

from sqlalchemy import make_url

from domain.errors import PermanentError

TIMEOUT_SECONDS = 3600


def dump_database(programs: Path, url: str, file: Path) -> None:
    """Write a database to a file in PostgreSQL's custom format, readable by its user alone, whole or not at all."""
    new = file.with_name(f"{file.name}.new")
    new.unlink(missing_ok=True)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        _run(programs, "pg_dump", url, "--format=custom", "--compress=1", f"--file={new}")
        new.replace(file)
    finally:
        new.unlink(missing_ok=True)


def restore_database(programs: Path, url: str, file: Path) -> None:
    """Bring a dump into an empty database, all of it or nothing; everything then belongs to the URL's role."""
    name = make_url(url).database or ""
    options = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
    _run(programs, "pg_restore", url, *options, f"--dbname={name}", str(file))


def _run(programs: Path, program: str, url: str, *arguments: str) -> None:
    path, at = programs / program, make_url(url)
    if not path.exists():
        raise PermanentError(
            f"{programs} has no {program}, which copies databases.",
            "Install PostgreSQL's client programs of the same version, or set TERRARIUM_POSTGRES_BIN_DIR.",
        )
    environment = {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C",
        "PGHOST": at.host or "",
        "PGPORT": str(at.port or 5432),
        "PGUSER": at.username or "",
        "PGPASSWORD": at.password or "",
        "PGDATABASE": at.database or "",
        "PGAPPNAME": "terrarium",
        "PGCONNECT_TIMEOUT": "10",
    }
    done = subprocess.run([path, *arguments], env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    if done.returncode:
        raise PermanentError(
            f"{program} of database {at.database} failed: {_tell(done.stderr)}",
            "Mend what PostgreSQL names; nothing was changed.",
        )


def _tell(words: str) -> str:
    lines = [line for line in words.strip().splitlines() if "error" in line.lower()] or words.strip().splitlines()
    return (lines or ["no reason given"])[0]
