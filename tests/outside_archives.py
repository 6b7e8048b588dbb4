"""Archives of a base backup that would write outside the folder that they are unpacked to."""

import io
import tarfile
from collections.abc import Callable

import lz4.frame

ESCAPED = "escaped"
#: As long as a name may be, so that sixteen of them are longer than a path may be: 4096.
LONG, DEPTH = "d" * 247, "abcdefghijklmnop"


def pack_parent() -> bytes:
    """A file beside the folder."""
    return _pack(lambda archive: _add_file(archive, f"../{ESCAPED}"))


def pack_absolute_link() -> bytes:
    """A link out of the folder, and a file behind it."""

    def write(archive: tarfile.TarFile) -> None:
        _add(archive, "out", tarfile.SYMTYPE, "/")
        _add_file(archive, f"out/tmp/{ESCAPED}")

    return _pack(write)


def pack_long_path() -> bytes:
    """CVE-2025-4517: links below a path that is too long for `realpath`, which then takes the rest of it for granted.

    The file `escaped` beside the folder gets another content where it is there.
    """

    def write(archive: tarfile.TarFile) -> None:
        path = ""
        for letter in DEPTH:
            _add(archive, f"{path}{LONG}", tarfile.DIRTYPE)
            _add(archive, f"{path}{letter}", tarfile.SYMTYPE, LONG)
            path += f"{LONG}/"
        up = f"{'/'.join(DEPTH)}/{'l' * 254}"
        _add(archive, up, tarfile.SYMTYPE, "../" * len(DEPTH))
        _add(archive, "parent", tarfile.SYMTYPE, f"{up}/..")
        _add(archive, "file", tarfile.LNKTYPE, f"parent/{ESCAPED}")
        _add_file(archive, "file")

    return _pack(write)


def pack_device() -> bytes:
    """A named pipe: whoever reads it waits."""
    return _pack(lambda archive: _add(archive, "pipe", tarfile.FIFOTYPE))


def _pack(write: Callable[[tarfile.TarFile], None]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        write(archive)
    return bytes(lz4.frame.compress(packed.getvalue()))


def _add(archive: tarfile.TarFile, name: str, kind: bytes, linkname: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, linkname, 0o755
    archive.addfile(member)


def _add_file(archive: tarfile.TarFile, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(b"hostile")
    archive.addfile(member, io.BytesIO(b"hostile"))
