"""The Terraform code of a cloud's stack as one thing with a digest: an environment keeps the version it was made with.

Invariant: equal files give an equal digest and equal bytes, on every machine and whatever their times are.
"""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from blocks.settings import CHECKOUT
from domain.errors import PermanentError

STACKS = CHECKOUT / "infra" / "terraform" / "stacks"


@cache
def digest_modules(cloud: str, stacks: Path = STACKS) -> str:
    """Sha256 over the names and contents of a stack and all modules. Read once: a process runs one version."""
    digest = hashlib.sha256()
    for name, content in _read_files(cloud, stacks):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def pack_modules(cloud: str, stacks: Path = STACKS) -> bytes:
    """A stack and all modules as a tar.gz; `unpack_modules` is its inverse."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as zipped, tarfile.open(fileobj=zipped, mode="w") as tar:
        for name, content in _read_files(cloud, stacks):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def unpack_modules(packed: bytes, folder: Path, cloud: str, digest: str) -> Path:
    """The stack's folder below `folder`. PermanentError where the archive is not what its digest says."""
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        tar.extractall(folder, filter="data")
    stack = folder / "stacks" / cloud
    found = digest_modules(cloud, stack.parent)
    if found != digest:
        raise PermanentError(
            f"The archived modules {digest[:12]} have the digest {found[:12]}: somebody changed the archive.",
            "Restore that version of the object in the state bucket, or upgrade: `terrarium env upgrade NAME`.",
        )
    return stack


def _read_files(cloud: str, stacks: Path) -> Iterator[tuple[str, bytes]]:
    """Names relative to infra/terraform, sorted; nothing that Terraform or an editor left there."""
    root = stacks.parent
    modules = root / "modules" / cloud
    files = [*(stacks / cloud).rglob("*"), *(modules.rglob("*") if modules.is_dir() else ())]
    for path in sorted(files):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts):
            yield path.relative_to(root).as_posix(), path.read_bytes()
