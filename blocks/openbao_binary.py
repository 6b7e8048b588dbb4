"""Where an OpenBao server is: the named one, one on PATH, or the one that was built into the user's cache.

It is found and never built here: `python -m deployments.local.build_openbao` does that, once for a user.
"""

import re
import shutil
import subprocess
from pathlib import Path

from blocks.terraform_binary import read_platform, user_cache_dir
from domain.errors import PermanentError

#: The release that infra/openbao/go.mod pins.
VERSION = "2.4.0"
OLDEST = (2, 4)  # a seal with a key in a file
BUILD_COMMAND = ".venv/bin/python -m deployments.local.build_openbao"


def find_openbao(path: Path | None, cache_dir: Path | None = None) -> Path | None:
    """The server program; None where this machine has none. PermanentError where the named one does not serve."""
    if path is not None:
        if not _is_usable(path):
            raise PermanentError(
                f"OpenBao at {path} does not run, or is older than 2.4.", "Correct or unset TERRARIUM_VAULT_PATH."
            )
        return path
    on_path = shutil.which("bao")
    if on_path and _is_usable(Path(on_path)):
        return Path(on_path)
    built = built_path(cache_dir)
    return built if built.exists() else None


def built_path(cache_dir: Path | None = None) -> Path:
    """Where the build puts it."""
    return (cache_dir or user_cache_dir()) / f"openbao-{VERSION}-{read_platform()}"


def _is_usable(path: Path) -> bool:
    """By what it tells of itself; a build from source says 2.0.0-HEAD, whatever it is of."""
    try:
        run = subprocess.run([path, "version"], env={}, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    found = re.search(r"OpenBao v(\d+)\.(\d+)\.\d+(-HEAD)?", run.stdout)
    return bool(found and (found[3] or (int(found[1]), int(found[2])) >= OLDEST))
