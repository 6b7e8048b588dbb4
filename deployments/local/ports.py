"""Ports that the stack needs: a taken one is named with its holder and with the setting that chooses another."""

import socket

import psutil

from blocks.ports import is_free
from domain.errors import PermanentError


def check_port(host: str, port: int, part: str, setting: str) -> None:
    """PermanentError where something else listens on the port."""
    if not is_free(host, port):
        raise PermanentError(
            f"Port {port}, which {part} needs, is taken by {read_holder(port)}.",
            f"End that process, or choose another port: `{setting}={find_free_port(host)} make up`.",
        )


def find_free_port(host: str) -> int:
    """A port that nothing uses at this moment."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def read_holder(port: int) -> str:
    """Name and pid of who listens on the port, where the system lets us see it."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.AccessDenied, OSError):
        return "another process"
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    return "another user's process"
