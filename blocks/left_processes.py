"""Processes that a dead run's Terraform has left, told by their environment: it names the run's own scratch folder.

Terraform gives its environment to its plugins and provisioners, so each of them can be told from every other process,
also when its parent is gone. Linux only: elsewhere none is found, and none is ended.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict

COOKIE = b"TF_PLUGIN_MAGIC_COOKIE="  # Terraform sets it for its plugins alone


class LeftProcess(BaseModel):
    """A process that works in a run's scratch folder. `is_terraform`: it is Terraform itself, and ends by itself."""

    model_config = ConfigDict(frozen=True)

    pid: int
    is_terraform: bool


def find_left_processes(folder: Path) -> list[LeftProcess]:
    """The processes whose Terraform configuration is in a run's scratch folder."""
    mark = b"TF_CLI_CONFIG_FILE=" + os.fsencode(folder.absolute()) + b"/"
    found = (_read_process(path, mark) for path in Path("/proc").glob("[0-9]*"))
    return [process for process in found if process]


def kill_left_processes(folder: Path) -> int:
    """SIGKILL to what works there without a Terraform above it; how many that were."""
    processes = find_left_processes(folder)
    if any(process.is_terraform for process in processes):
        return 0
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return len(processes)


def _read_process(path: Path, mark: bytes) -> LeftProcess | None:
    """One process, None where it is none of the run's, gone, a zombie (its environment is empty) or somebody else's."""
    try:
        variables = (path / "environ").read_bytes().split(b"\0")
        if not any(variable.startswith(mark) for variable in variables):
            return None
        is_plugin = any(variable.startswith(COOKIE) for variable in variables)
        name = Path(os.readlink(path / "exe")).name
    except OSError:
        return None
    return LeftProcess(pid=int(path.name), is_terraform=name.startswith("terraform") and not is_plugin)
