"""`python -m deployments.worker`: serve a work pool until SIGTERM or SIGINT; its runs are ended in order."""

import argparse
import signal
import socket

import anyio

from deployments.catalog import WORK_POOL
from deployments.worker.processes import become_subreaper
from deployments.worker.worker import WarmWorker


async def serve(pool: str) -> None:
    """Serve; on a signal end every run, report it, and stop."""
    worker = WarmWorker(pool, socket.gethostname())
    async with anyio.create_task_group() as group:
        group.start_soon(worker.serve)
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                await worker.end_runs()
                break
        group.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m deployments.worker", description=__doc__)
    parser.add_argument("--pool", default=WORK_POOL, help=f"the work pool to serve, {WORK_POOL} unless told")
    become_subreaper()
    anyio.run(serve, parser.parse_args().pool)
