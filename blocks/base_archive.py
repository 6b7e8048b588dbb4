"""The archives of a base backup, unpacked where nothing leaves its folder.

Barman's own restore unpacks whatever the archive says, also outside its folder (`tarfile` without a filter, on Python
before 3.14), and here it would do so as root. Python's filter `data` alone is not enough: before 3.11.13, 3.12.11 and
3.13.4 links below a very long path lead out of the folder (CVE-2025-4517). So there are no links at all.
"""

import tarfile
from pathlib import Path
from typing import Any

from domain.errors import PermanentError


class UnreadableBaseError(PermanentError):
    """What the vault has cannot be unpacked."""


def unpack(body: Any, key: str, target: Path) -> None:
    """Unpack a stream of a tar in lz4 into a folder, as it comes. UnreadableBaseError where it is none, or is hostile.

    `key` is what it is called in the vault. PermanentError where there is no room here; botocore's errors as they are.
    """
    import lz4.frame
    from botocore.exceptions import BotoCoreError

    try:
        with lz4.frame.open(body, "rb") as content, tarfile.open(fileobj=content, mode="r|") as archive:
            archive.extractall(target, filter=_accept)  # noqa: S202 - the linter knows `data` alone; ours is narrower
    except (tarfile.TarError, EOFError, RuntimeError) as error:
        raise UnreadableBaseError(
            f"{key} of the vault cannot be unpacked: {error}.", "What is there is not what was kept: take another one."
        ) from error
    except BotoCoreError:  # some are OSErrors too: a network that fails is no full disk
        raise
    except OSError as error:
        raise PermanentError(
            f"{key} of the vault cannot be unpacked here: {error.strerror or error}.",
            "Make room in the state folder for two copies of the database.",
        ) from error


def _accept(member: tarfile.TarInfo, target: str) -> tarfile.TarInfo:
    """Files and folders alone: a base backup without tablespaces has nothing else."""
    if not (member.isreg() or member.isdir()):
        raise tarfile.FilterError(f"{member.name[-80:]!r} is neither a file nor a folder")
    return tarfile.data_filter(member, target)
