"""`python -m deployments.worker`: serve a work pool until SIGTERM or SIGINT; its runs are ended in order."""

import argparse
import asyncio
import signal
import socket
from contextlib import suppress

from deployments.catalog import WORK_POOL
from deployments.worker.processes import become_subreaper
from deployments.worker.worker import WarmWorker


async def serve(pool: str) -> None:
    """Serve; on a signal end every run, report it, and stop.

    Cancelled once, as by Ctrl-C: Prefect's own cleanup cannot end in a cancel scope that cancels every await.
    """
    worker, told = WarmWorker(pool, socket.gethostname()), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    serving, telling = asyncio.create_task(worker.serve()), asyncio.create_task(told.wait())
    await asyncio.wait([serving, telling], return_when=asyncio.FIRST_COMPLETED)
    if told.is_set():
        await worker.end_runs()
        serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m deployments.worker", description=__doc__)
    parser.add_argument("--pool", default=WORK_POOL, help=f"the work pool to serve, {WORK_POOL} unless told")
    become_subreaper()
    asyncio.run(serve(parser.parse_args().pool))
