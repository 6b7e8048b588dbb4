"""A folder to look into a backup in, for somebody who has no run: whoever comes next removes what a killed one left."""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = "lock"


@contextmanager
def lend_folder(parent: Path) -> Iterator[Path]:
    """A path below `parent` that nothing is at yet; gone when the context ends, or when the next one begins."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    clear_folders(parent)
    mine = parent / secrets.token_hex(6)
    mine.mkdir(mode=0o700)
    lock = os.open(mine / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield mine / "server"
    finally:
        shutil.rmtree(mine, ignore_errors=True)
        os.close(lock)


def clear_folders(parent: Path) -> None:
    """Remove the folders whose owner is gone: the system has let go of its lock."""
    for folder in parent.glob("*"):
        with suppress(OSError):
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
