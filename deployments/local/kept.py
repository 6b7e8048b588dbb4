"""What environments keep, started and stopped with the stack: database pairs come back with their data."""

import time
from collections.abc import Callable

from blocks.kept_servers import (
    KeptServer,
    is_fenced,
    is_server_healthy,
    list_kept,
    read_kept_parts,
    start_server,
    stop_server,
)
from blocks.settings import Settings
from blocks.supervisor import Stack
from domain.errors import TerrariumError

Report = Callable[[str], None]
POLL_SECONDS = 0.1


def start_kept(stack: Stack, settings: Settings, report: Report) -> None:
    """Start what is not healthy, but for what is fenced. One that does not come up is told, and keeps nothing else."""
    healthy = {part.name for part in read_kept_parts(stack) if part.is_healthy}
    for server in list_kept(stack):
        if is_fenced(stack, server.name):
            report(f"{server.name} is fenced and stays down until the failback of {server.owner}.")
        elif server.name in healthy:
            report(f"{server.name} is running.")
        else:
            _start(stack, server, settings.start_timeout_seconds, report)


def stop_kept(stack: Stack, report: Report) -> None:
    """In the reverse of their start: a standby before its primary, both before the relay between them."""
    for server in reversed(list_kept(stack)):
        stop_server(stack, server.name)
        report(f"{server.name} stopped.")


def _start(stack: Stack, server: KeptServer, timeout_seconds: float, report: Report) -> None:
    began = time.monotonic()
    try:
        if server.probe == "relay":  # one that runs and does not answer is started anew
            stop_server(stack, server.name)
        start_server(stack, server.name)
    except TerrariumError as error:
        return report(f"{server.name} was not started. {error}")
    while not is_server_healthy(stack, server):
        if time.monotonic() > began + timeout_seconds:
            log = stack.state_dir / "logs" / f"{server.name}.log"
            return report(f"{server.name} is not healthy after {timeout_seconds:.0f} s. Its log: {log}")
        time.sleep(POLL_SECONDS)
    where = f" on port {server.port}" if server.port else ""
    return report(f"{server.name} started{where} in {time.monotonic() - began:.1f} s.")
