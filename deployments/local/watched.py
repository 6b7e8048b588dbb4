"""The watch over one environment: looks from both vantage points, a verdict after each, and one run where it is lost.

It never acts on the pair itself: it starts a run of the deployment `failover`, which looks from a third place and
fences first. Looks never hang; samples, which may, have threads of their own.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from blocks.postgres.pair_files import Pair
from blocks.postgres.watch import (
    look_from_clients,
    look_from_standby,
    look_seconds,
    read_clock,
    sample_primary,
    sample_standby,
)
from domain.look import Watched, note_look, note_primary, note_run, note_standby
from domain.watch import Standing, Verdict, WatchState, decide_watch

SAMPLE_SECONDS = 1.0
#: A sample that took longer says nothing of now.
STALE_SECONDS = 5.0
#: So often each vantage point looks within the detection time, and at the longest so many seconds apart.
LOOKS_IN_DETECTION, LONGEST_PAUSE_SECONDS = 5, 1.0
#: Before an alarm or a failover the ledger is asked again, where it was asked longer ago.
FRESH_SECONDS = 0.5
LOOKS, PRIMARY_SAMPLES, STANDBY_SAMPLES = "looks", "samples of the primary", "samples of the standby"
ALARMS = (WatchState.DIVIDED, WatchState.BLOCKED, WatchState.LOST)

Read = Callable[[], Standing]
Start = Callable[[Verdict], str]


class EnvironmentWatch:
    """One environment. `read` asks the ledger, `start` starts the run and gives its id."""

    def __init__(self, pair: Pair, standing: Standing, read: Read, start: Start) -> None:
        self.pair = pair
        self.verdict = Verdict(state=WatchState.UNKNOWN, told="")
        self._ticks = dict.fromkeys((LOOKS, PRIMARY_SAMPLES, STANDBY_SAMPLES), time.monotonic())
        self._read, self._start = read, start
        self._standing, self._standing_at = standing, time.monotonic()
        self._watched, self._lock = Watched(), threading.Lock()
        self._pending, self._attempted = self.verdict, ""
        self._ended = threading.Event()

    def begin(self) -> None:
        """Watch until `end`."""
        loops = (
            (LOOKS, self._look_once, self._pause),
            (PRIMARY_SAMPLES, self._sample_primary, lambda: SAMPLE_SECONDS),
            (STANDBY_SAMPLES, self._sample_standby, self._standby_pause),
        )
        for loop in loops:
            threading.Thread(
                target=self._repeat, args=loop, name=f"{self.pair.environment} {loop[0]}", daemon=True
            ).start()

    def end(self) -> None:
        """Watch no more."""
        self._ended.set()

    @property
    def unseen_seconds(self) -> float:
        """Since the clients' vantage point has seen the primary last; 0 where it sees it."""
        return self._watched.clients_sight.unseen_seconds

    @property
    def standing(self) -> Standing:
        """What the ledger said last."""
        return self._standing

    @standing.setter
    def standing(self, standing: Standing) -> None:
        self._standing, self._standing_at = standing, time.monotonic()

    def _repeat(self, name: str, once: Callable[[], None], pause_seconds: Callable[[], float]) -> None:
        """Until `end`, whatever a turn raises: a loop that ended would be a watcher that only seems to watch."""
        while not self._ended.wait(pause_seconds()):
            try:
                once()
            except Exception as error:  # the next turn may do better; the page says how old the last is
                logging.warning("%s: %s failed: %s", self.pair.environment, name, error)
            else:
                self._ticks[name] = time.monotonic()

    def list_ticks(self) -> list[float]:
        """When each loop has done its turn last, by the monotonic clock. Samples count while the primary is seen: one
        that is frozen may keep a sample for as long as it is."""
        is_seen = self.verdict.state is WatchState.SEEN
        return [tick for name, tick in self._ticks.items() if name == LOOKS or is_seen]

    def _look_once(self) -> None:
        self._look()
        self._follow(self._decide())

    def _pause(self) -> float:
        return min(LONGEST_PAUSE_SECONDS, self._standing.detection.total_seconds() / LOOKS_IN_DETECTION)

    def _look(self) -> None:
        longest_gap = self._standing.detection + timedelta(seconds=2 * look_seconds(self.pair) + self._pause())
        looks = [look_from_clients(self.pair)]
        if primary := self._watched.primary:
            looks.append(look_from_standby(self.pair, primary.node))
        with self._lock:
            for look in looks:
                self._watched = note_look(self._watched, look, longest_gap)

    def _decide(self) -> Verdict:
        verdict = decide_watch(self._watched, self._standing, self._attempted, read_clock())
        if verdict.state in ALARMS and time.monotonic() - self._standing_at > FRESH_SECONDS:
            self.standing = self._read()
            verdict = decide_watch(self._watched, self._standing, self._attempted, read_clock())
        return verdict

    def _follow(self, verdict: Verdict) -> None:
        if verdict.state is not self.verdict.state:
            level = logging.WARNING if verdict.state in ALARMS else logging.INFO
            logging.log(level, "%s is %s: %s", self.pair.environment, verdict.state.value, verdict.told)
        self.verdict = verdict
        if verdict.state is WatchState.BUSY:  # what a run does to the pair is no outage
            with self._lock:
                self._watched = note_run(self._watched)
        elif verdict.state is WatchState.LOST:
            self._start_once(verdict)

    def _start_once(self, verdict: Verdict) -> None:
        """Under the same words each time, until Prefect has it: the ledger has one request for each outage."""
        if self._pending.outage != verdict.outage:
            self._pending = verdict
        run_id = self._start(verdict.model_copy(update={"told": self._pending.told}))
        self._attempted = verdict.outage
        logging.warning("%s: run %s fails over", self.pair.environment, run_id)

    def _sample_primary(self) -> None:
        sample = sample_primary(self.pair)
        if sample and (read_clock() - sample.at).total_seconds() < STALE_SECONDS:
            with self._lock:
                self._watched = note_primary(self._watched, sample)

    def _sample_standby(self) -> None:
        primary = self._watched.primary
        sample = sample_standby(self.pair, primary.node) if primary else None
        if sample and (read_clock() - sample.at).total_seconds() < STALE_SECONDS:
            with self._lock:
                self._watched = note_standby(self._watched, sample)

    def _standby_pause(self) -> float:
        """Shorter while the primary is missed: the standby's word after the loss is what a failover waits for."""
        return self._pause() if self._watched.clients_sight.gone_since else SAMPLE_SECONDS
