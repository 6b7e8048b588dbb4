"""Whether a PostgreSQL answers at an address, asked as cheaply as its protocol allows: may we speak TLS?

No session, no password: a postmaster that runs answers one byte. One that is killed, frozen or cut off does not.
"""

import socket
import struct
import time

#: SSLRequest of the frontend/backend protocol: length 8, code 80877103.
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
ASKED_IN = 5


def is_answering(host: str, port: int, timeout_seconds: float) -> bool:
    """A postmaster answers there within the time."""
    try:
        with socket.create_connection((host, port), timeout_seconds) as connection:
            connection.settimeout(timeout_seconds)
            connection.sendall(SSL_REQUEST)
            return connection.recv(1) in (b"S", b"N")
    except OSError:
        return False


def answers_within(host: str, port: int, seconds: float) -> bool:
    """A postmaster answers there at one of the looks in that time: every look is as patient as that, and where one ends
    early, with a refusal, there is another."""
    began_at = time.monotonic()
    while not is_answering(host, port, seconds):
        if time.monotonic() - began_at >= seconds:
            return False
        time.sleep(seconds / ASKED_IN)
    return True


def wait_for_silence(host: str, port: int, silent_seconds: float) -> None:
    """Return once nobody has answered there for so long, asked five times in it; every answer begins the time anew."""
    pause = silent_seconds / ASKED_IN
    silent_since = time.monotonic()
    while time.monotonic() - silent_since < silent_seconds:
        asked_at = time.monotonic()
        if is_answering(host, port, pause):
            silent_since = time.monotonic()
        time.sleep(max(0.0, asked_at + pause - time.monotonic()))
