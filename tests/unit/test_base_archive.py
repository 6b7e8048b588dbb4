"""What is unpacked of a base backup's archive: files and folders, and none of them outside."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import lz4.frame
import pytest

from blocks.base_archive import UnreadableBaseError, unpack
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
