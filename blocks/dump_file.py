"""A dump as it lies somewhere: its format told by its content, and its copy into a jail, hashed on the way.

Invariant: what was hashed is what is restored; nobody can change it in between, for the copy is the jail's alone.
"""

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from domain.errors import PermanentError

Format = Literal["custom", "tar", "directory", "plain"]
CHUNK_BYTES = 1 << 20
TAR_MAGIC = (257, b"ustar")


@dataclass(frozen=True)
class ReceivedDump:
    """A dump in a folder of ours. `sha256` of a directory is that of its files' lines `SHA256  NAME`, by name."""

    path: Path
    format: Format
    sha256: str
    size_bytes: int


def receive_dump(source: Path, folder: Path, give: Callable[[Path], None]) -> ReceivedDump:
    """Copy a dump to `folder`; `give` hands each part to who reads it. PermanentError where it cannot be read."""
    target = folder / "backup"
    try:
        if source.is_dir():
            sha256, size_bytes = _copy_directory(source, target, give)
        else:
            sha256, size_bytes = _copy(source, target)
        give(target)
    except OSError as error:
        raise PermanentError(
            f"The backup {source} cannot be copied: {error.strerror or error}.",
            "Give a file that you may read, and make room for a copy of it in the state folder.",
        ) from error
    return ReceivedDump(target, _find_format(target), sha256, size_bytes)


def _copy_directory(source: Path, target: Path, give: Callable[[Path], None]) -> tuple[str, int]:
    target.mkdir(mode=0o700)
    lines, size_bytes = [], 0
    for path in sorted(source.iterdir(), key=lambda path: os.fsencode(path.name)):
        sha256, size = _copy(path, target / path.name)
        give(target / path.name)
        lines.append(f"{sha256}  {path.name}\n")
        size_bytes += size
    return hashlib.sha256("".join(lines).encode()).hexdigest(), size_bytes


def _copy(source: Path, target: Path) -> tuple[str, int]:
    """Sha256 and size. A link or a device in a dump's folder is no part of a dump."""
    taken, size_bytes = hashlib.sha256(), 0
    descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | (0 if target.name == "backup" else os.O_NOFOLLOW))
    with open(descriptor, "rb", buffering=0) as reading, target.open("xb") as writing:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{source.name} is no file")
        target.chmod(0o400)
        while chunk := reading.read(CHUNK_BYTES):
            taken.update(chunk)
            writing.write(chunk)
            size_bytes += len(chunk)
    return taken.hexdigest(), size_bytes


def _find_format(path: Path) -> Format:
    if path.is_dir():
        return "directory"
    with path.open("rb") as file:
        head = file.read(512)
    offset, magic = TAR_MAGIC
    if head.startswith(b"PGDMP"):
        return "custom"
    return "tar" if head[offset : offset + len(magic)] == magic else "plain"
