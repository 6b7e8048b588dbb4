"""`python -m deployments.local.build_openbao`: an OpenBao server into the user's cache, from Go's module proxy.

What is built is pinned by infra/openbao/go.sum, so the proxy cannot give anything else. It needs Go 1.24.6 or newer.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

from blocks.openbao_binary import built_path
from blocks.settings import CHECKOUT
from domain.errors import PermanentError, TerrariumError

MODULE = CHECKOUT / "infra" / "openbao"
PACKAGE = "github.com/openbao/openbao"
TIMEOUT_SECONDS = 3600


def build_openbao(target: Path) -> Path:
    """The program at `target`, built where it is not there yet; one build at a time, the others wait for it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return target if target.exists() else _build(target)


def _build(target: Path) -> Path:
    """Written beside its place and renamed: a crash leaves a whole program or none."""
    go = shutil.which("go")
    if go is None:
        raise PermanentError(
            "There is no Go on PATH to build OpenBao with.",
            "Install Go 1.24.6 or newer from go.dev/dl, or put an OpenBao 2.4 or newer on PATH as `bao`.",
        )
    partial = target.with_name(f"{target.name}.{os.getpid()}")
    command = [go, "build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", str(partial), PACKAGE]
    ours = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-buildvcs=false"}
    done = subprocess.run(
        command, cwd=MODULE, env=os.environ | ours, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
    )
    if done.returncode:
        raise PermanentError(
            f"Go could not build OpenBao: {done.stderr.strip()[-2000:]}",
            "Mend what Go names: it needs the module proxy the first time, 2 GB of disk and 2 GB of memory.",
        )
    partial.replace(target)
    return target


def main() -> int:
    """Exit code 0 with the path, or 1 with what failed."""
    try:
        sys.stdout.write(f"{build_openbao(built_path())}\n")
    except TerrariumError as error:
        sys.stderr.write(f"{error.summary}\n{error.resolution}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
