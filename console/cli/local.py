"""The local stack as its supervisor and its servers tell it, without the API."""

from blocks.kept_servers import list_kept, read_kept_parts
from blocks.settings import read_settings
from blocks.supervisor import Stack, read_parts, read_stack
from console.contract import StackPart, StackStatus
from domain.errors import PermanentError


def find_stack() -> Stack | None:
    """What `make up` wrote down; None where no stack was ever started from this checkout."""
    try:
        return read_stack(read_settings())
    except PermanentError:
        return None


def read_status() -> StackStatus:
    """Every part with its health. `is_up`: all of them are healthy."""
    stack = find_stack()
    if stack is None:
        return StackStatus(is_up=False, prefect_url=None, api_url=None, parts=[])
    ports = stack.ports | {server.name: server.port for server in list_kept(stack) if server.port}
    parts = [
        StackPart(name=part.name, state=part.state, is_healthy=part.is_healthy, port=ports.get(part.name))
        for part in (*read_parts(stack), *read_kept_parts(stack))
    ]
    return StackStatus(
        is_up=bool(parts) and all(part.is_healthy for part in parts),
        prefect_url=stack.prefect_url,
        api_url=stack.api_url,
        parts=parts,
    )
