"""A run's lease on its environment: it says that it lives, waits for whoever changes it now, and lets go."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from prefect import get_run_logger

from blocks.ledger.leases import CHANGING_OPERATIONS, LeaseRow
from blocks.settings import read_settings
from domain.drill import refuse_second_drill
from domain.errors import RefusedError, TerrariumError
from domain.status import Operation
from tasks.ledger import ledger
from tasks.sweep import sweep_environment

#: Between two tries to take a lease that another run holds.
POLL_SECONDS = 1.0


@contextmanager
def acting_for(run_id: str, environment: str) -> Iterator[None]:
    """While this lasts, this process is the one that acts for the run, and says so again and again."""
    ledger().enter_run(run_id, environment)
    ended = threading.Event()
    # A thread: a main thread that waits for Terraform, or for S3, is no dead run.
    beating = threading.Thread(target=_beat, args=(run_id, ended), name="heartbeat", daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()
        with suppress(TerrariumError):  # what is not given up now is swept when this process is gone
            ledger().leave_run(run_id)


def _beat(run_id: str, ended: threading.Event) -> None:
    while not ended.wait(read_settings().heartbeat_seconds):
        with suppress(TerrariumError):
            if not ledger().beat(run_id):
                return


def wait_for_lease(run_id: str, environment: str, operation: Operation) -> None:
    """Take the environment's lease, where the operation changes it; dead runs on it are swept first.

    It waits for a living holder, `lease_wait_minutes` at the longest: then RefusedError, with the holder's name. A run
    that takes no lease goes on where a dead one cannot be ended.
    """
    if operation not in CHANGING_OPERATIONS:
        _try_to_sweep(environment)
        return
    sweep_environment(environment)
    minutes = read_settings().lease_wait_minutes
    deadline, told = time.monotonic() + minutes * 60, ""
    while holder := ledger().take_lease(environment, run_id):
        refuse_second_drill(environment, operation, holder.operation, str(holder))
        if holder.run_id != told:
            get_run_logger().info("Waiting for %s, which changes %s now.", holder, environment)
            told = holder.run_id
        if time.monotonic() >= deadline:
            _refuse(environment, holder, minutes)
        time.sleep(POLL_SECONDS)
        sweep_environment(environment)


def _try_to_sweep(environment: str) -> None:
    try:
        sweep_environment(environment)
    except TerrariumError as error:
        get_run_logger().warning("A dead run cannot be ended now: %s", error)


def _refuse(environment: str, holder: LeaseRow, minutes: float) -> None:
    raise RefusedError(
        f"{environment} is being changed by {holder}; waited {minutes:g} minutes for it.",
        f"See `terrarium runs show {holder.run_id}` and try again. If you know that it is dead: "
        f"`terrarium env unlock {environment} --reason …`.",
    )
