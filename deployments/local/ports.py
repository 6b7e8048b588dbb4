"""Ports that the stack needs: a taken one is named with its holder and with the setting that chooses another."""

import socket

import psutil

from domain.errors import PermanentError


def check_port(host: str, port: int, part: str, setting: str) -> None:
    """PermanentError where something else listens on the port."""
    if not is_free(host, port):
        raise PermanentError(
            f"Port {port}, which {part} needs, is taken by {read_holder(port)}.",
            f"End that process, or choose another port: `{setting}={find_free_port(host)} make up`.",
        )


def is_free(host: str, port: int) -> bool:
    """A server could listen there now; connections of an earlier one that time out do not count."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


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
