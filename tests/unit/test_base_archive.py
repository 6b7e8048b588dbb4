"""What is unpacked of a base backup's archive: files and folders, and none of them outside."""

import io
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import lz4.frame
import pytest
from botocore.response import StreamingBody
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from blocks.aws_session import translate_errors
from blocks.base_archive import UnreadableBaseError, unpack
from domain.errors import PermanentError, TemporaryError
from tests.outside_archives import ESCAPED, pack_absolute_link, pack_device, pack_long_path, pack_parent


@pytest.mark.parametrize("pack", [pack_parent, pack_absolute_link, pack_long_path, pack_device])
def test_nothing_leaves_its_folder(tmp_path: Path, pack: Callable[[], bytes]) -> None:
    """Whatever an archive says, what is beside the folder stays as it was; and it is no backup."""
    target, beside = tmp_path / "base", tmp_path / ESCAPED
    target.mkdir()
    beside.write_text("ours")
    with pytest.raises(UnreadableBaseError, match=r"outside the destination|neither a file nor a folder"):
        unpack(io.BytesIO(pack()), "data.tar.lz4", target)
    assert beside.read_text() == "ours"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", ESCAPED]


def test_files_and_folders_are_unpacked(tmp_path: Path) -> None:
    """With their content and their folders."""
    packed, source = io.BytesIO(), tmp_path / "source"
    (source / "global").mkdir(parents=True)
    (source / "global" / "pg_control").write_bytes(b"control")
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(source, arcname=".")
    target = tmp_path / "base"
    target.mkdir()
    unpack(io.BytesIO(lz4.frame.compress(packed.getvalue())), "data.tar.lz4", target)
    assert (target / "global" / "pg_control").read_bytes() == b"control"


class Broken:
    """A connection that gives some bytes and breaks."""

    def __init__(self, content: bytes, error: Exception | None) -> None:
        self._content, self._error = io.BytesIO(content), error

    def read(self, size: int | None = None) -> bytes:
        """What there is; then the error, or the end where there is none."""
        found = self._content.read(size)
        if not found and self._error:
            raise self._error
        return found


@pytest.mark.parametrize("error", [ReadTimeoutError(None, "", "Read timed out."), ProtocolError("reset"), None])  # type: ignore[arg-type]  # a timeout without its pool
def test_a_network_that_fails_is_no_full_disk(tmp_path: Path, error: Exception | None) -> None:
    """Too slow, reset, or ended too soon: waiting helps."""
    packed, member = io.BytesIO(), tarfile.TarInfo("base")
    member.size = 1 << 20
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(member, io.BytesIO(b"".join(sha256(b"%d" % n).digest() for n in range(1 << 15))))
    whole = lz4.frame.compress(packed.getvalue())
    body = StreamingBody(Broken(whole[: len(whole) // 2], error), len(whole))  # type: ignore[arg-type]  # botocore's own names a response of urllib3's
    with pytest.raises(TemporaryError, match="fetching the base failed"), translate_errors("fetching the base"):
        unpack(body, "data.tar.lz4", tmp_path)


def test_a_disk_that_fails_is_told(tmp_path: Path) -> None:
    """With the way out."""
    with pytest.raises(PermanentError, match="Make room"), translate_errors("fetching the base"):
        unpack(Broken(b"", OSError(28, "No space left on device")), "data.tar.lz4", tmp_path)
