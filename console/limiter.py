"""How often somebody may call: counted in this process, so behind several API processes each has its own count."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from domain.errors import TemporaryError


class TooManyError(TemporaryError):
    """More calls than allowed in a minute; `delay_seconds` tells when the next one may come."""

    def __init__(self, summary: str, resolution: str, delay_seconds: int) -> None:
        super().__init__(summary, resolution)
        self.delay_seconds = delay_seconds


class Limiter:
    """The calls of each name in the last minute."""

    def __init__(self, calls_per_minute: int) -> None:
        self._limit = RateLimitItemPerMinute(calls_per_minute)
        self._counter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, name: str) -> None:
        """Count a call; TooManyError where it is one too many."""
        if self._counter.hit(self._limit, name):
            return
        resets_at = self._counter.get_window_stats(self._limit, name).reset_time
        delay_seconds = max(1, math.ceil(resets_at - time.time()))
        raise TooManyError(
            f"The {name} made more than {self._limit.amount} calls in a minute.",
            f"Wait {delay_seconds} s, or have TERRARIUM_API_CALLS_PER_MINUTE raised.",
            delay_seconds,
        )
