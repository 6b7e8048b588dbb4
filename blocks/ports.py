"""Whether a TCP port can be listened on."""

import socket


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
