"""The warm process that runs are forked from: Prefect and the flows imported, one thread, no connection.

stdin is a socket to the worker: each message is a run, the answer its process id, the end of the socket is our end.
A run is forked twice, so that its parent is the worker, which is a subreaper: killing this process harms no run.
Before each fork the checkout's code is compared with what was imported; where it changed, this process starts over.
"""

import gc
import json
import os
import runpy
import socket
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from blocks.settings import CHECKOUT

SOURCES = ("blocks", "deployments", "domain", "flows", "tasks")
LIBRARIES = (
    "prefect.main",
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect._internal.observers",
    "anyio._backends._asyncio",
    "deployments.worker.handed",
)
#: Bytes. More than a socket takes as one message: a longer one is refused when it is sent.
MESSAGE_SIZE = 4 * 1024 * 1024

Sources = dict[Path, tuple[int, int]]


def main() -> None:
    """Fork runs until the worker is gone. In each fork: be that run, and end as Prefect's engine does."""
    Path("/proc/self/comm").write_text("zygote")
    before = read_sources()
    import_all()
    worker = socket.socket(fileno=0)
    if run := serve(worker, before):
        worker.close()
        os.open(os.devnull, os.O_RDWR)  # the lowest free one: stdin again
        become_run(run)
        run_engine()


def read_sources() -> Sources:
    """Time of change and size of every file of ours that a run may import."""
    files = [path for folder in SOURCES for path in (CHECKOUT / folder).rglob("*.py")]
    return {path: ((found := path.stat()).st_mtime_ns, found.st_size) for path in files}


def import_all() -> None:
    """Import what runs need. What cannot be imported is the error of the run that needs it, where Prefect tells it."""
    from deployments.worker import results, suspension

    flows = sorted(path.stem for path in (CHECKOUT / "flows").glob("[!_]*.py"))
    for module in (*LIBRARIES, *(f"flows.{stem}" for stem in flows)):
        try:
            import_module(module)
        except Exception:
            traceback.print_exc()
    suspension.install()
    results.install()
    if threads := len(os.listdir("/proc/self/task")) - 1:
        raise RuntimeError(f"An import started {threads} threads; a fork would copy their locks but not them.")
    gc.freeze()


def serve(worker: socket.socket, imported: Sources) -> dict[str, Any] | None:
    """Fork for each message. Returns in a fork, with its run; in the zygote itself when the worker is gone."""
    while worker.recv(1, socket.MSG_PEEK):
        if read_sources() != imported:
            os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - this very program; the message waits in the socket
        run: dict[str, Any] = json.loads(worker.recv(MESSAGE_SIZE))
        pid = fork_twice()
        if pid == 0:
            return run
        worker.send(str(pid).encode())
    return None


def fork_twice() -> int:
    """The process id of a grandchild whose parent has ended; 0 in the grandchild."""
    reader, writer = os.pipe()
    between = os.fork()
    if between == 0:
        pid = os.fork()
        if pid:
            os.write(writer, str(pid).encode())
            os._exit(0)
    else:
        os.waitpid(between, 0)
        pid = int(os.read(reader, 20))
    os.close(reader)
    os.close(writer)
    return pid


def become_run(run: dict[str, Any]) -> None:
    """A session, a name, a folder and an environment of its own, as if it had been started by itself."""
    os.setsid()
    Path("/proc/self/comm").write_text(run["name"])
    os.chdir(run["folder"])
    sys.path[0] = run["folder"]
    ours = _prefect_variables(os.environ)
    os.environ.clear()
    os.environ.update(run["environment"])
    if run["handed"]:
        from deployments.worker import handed

        handed.install(run["handed"])
    if _prefect_variables(os.environ) != ours:
        # 0.1 s, and only where a deployment's job variables change Prefect's own settings.
        from prefect.context import refresh_global_settings_context
        from prefect.logging.configuration import setup_logging

        refresh_global_settings_context()
        setup_logging()


def run_engine() -> None:
    """`python -m prefect.engine`, which is how Prefect's process worker runs a flow."""
    sys.modules.pop("prefect.engine", None)
    sys.argv = ["prefect.engine"]
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)


def _prefect_variables(environment: Any) -> dict[str, str]:
    """Prefect's settings; what begins with PREFECT__ tells about one run."""
    return {
        key: value
        for key, value in environment.items()
        if key.startswith("PREFECT_") and not key.startswith("PREFECT__")
    }


if __name__ == "__main__":
    main()
