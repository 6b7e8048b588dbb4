"""`make down`: every server and all that it started is ended, flows first, while they can write what they know."""

from collections.abc import Callable

from blocks.settings import Settings
from blocks.supervisor import Stack, read_stack
from deployments.local.kept import stop_kept
from deployments.local.layout import Layout
from deployments.local.processes import end_processes, find_processes
from deployments.local.programs import EMULATOR, STOP_SECONDS
from deployments.local.supervision import is_supervisor_running, shut_down_supervisor, stop_part

Report = Callable[[str], None]


def stop_stack(settings: Settings, report: Report) -> None:
    """Stop the stack, bounded: a flow gets `stop_timeout_seconds`, a server its ten seconds. Nothing of it is left."""
    if not Layout(settings.state_dir).stack.exists():
        return report("Nothing was started here.")
    stack = read_stack(settings)
    if is_supervisor_running(stack):
        _stop_parts(stack, settings, report)
        shut_down_supervisor(stack, STOP_SECONDS)
    if left := find_processes(stack.stack_id):
        report(f"Ending {len(left)} processes that are left.")
        end_processes(left, STOP_SECONDS)
    return stack.supervisor_socket.unlink(missing_ok=True)


def _stop_parts(stack: Stack, settings: Settings, report: Report) -> None:
    """In the reverse of their start: the worker stops while its flows can still reach the servers."""
    for part in reversed(stack.ports):
        if part == EMULATOR:
            stop_kept(stack, report)  # while their last WAL can still be archived
        stop_part(stack, part, settings.stop_timeout_seconds)
        report(f"{part} stopped.")
