"""Waiting for something outside to become true: tests poll, they never sleep for a guessed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.1
TIMEOUT_SECONDS = 60.0


def wait_for(
    claim: str,
    read: Callable[[], T | None],
    timeout_seconds: float = TIMEOUT_SECONDS,
    poll_seconds: float = POLL_SECONDS,
) -> T:
    """Poll until `read` answers with something true, and give that; AssertionError with the claim after the timeout."""
    deadline = time.monotonic() + timeout_seconds
    while not (answer := read()):
        assert time.monotonic() < deadline, f"not within {timeout_seconds:.0f} s: {claim}"
        time.sleep(poll_seconds)
    return answer
