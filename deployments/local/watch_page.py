"""The watcher's page: `/health`, and `/metrics` for Prometheus, with what it sees of each environment.

Both answer 503 where the watcher is not well, so that Prometheus has no state of a watcher that does not watch.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from blocks.postgres.watch import read_clock
from deployments.local.watched import EnvironmentWatch
from domain.watch import WatchState

#: Whoever has not looked, or has not reached the ledger, for so long is not healthy.
SILENT_SECONDS = 60.0
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Watching(Protocol):
    """What the page tells of."""

    watches: dict[str, EnvironmentWatch]
    refreshed_at: float


def serve_page(host: str, port: int, watcher: Watching) -> ThreadingHTTPServer:
    """Answer until the process ends."""

    class Page(BaseHTTPRequestHandler):
        """Two paths."""

        def do_GET(self) -> None:
            if self.path in ("/health", "/metrics") and not is_well(watcher):
                self._answer(503, b"", "text/plain")  # metrics too: what it saw last is not what is
            elif self.path == "/health":
                self._answer(200, b"", "text/plain")
            elif self.path == "/metrics":
                self._answer(200, render_metrics(dict(watcher.watches)), CONTENT_TYPE)
            else:
                self._answer(404, b"", "text/plain")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's word
            """Nothing: the log is for what the watcher sees."""

    server = ThreadingHTTPServer((host, port), Page)
    threading.Thread(target=server.serve_forever, name="page", daemon=True).start()
    return server


def is_well(watcher: Watching) -> bool:
    """Within the last minute the ledger was reached, and every loop of every watch has done its turn."""
    ticks = [tick for watch in list(watcher.watches.values()) for tick in watch.list_ticks()]
    return time.monotonic() - min([watcher.refreshed_at, *ticks]) < SILENT_SECONDS


def render_metrics(watches: Mapping[str, EnvironmentWatch]) -> bytes:
    """Prometheus's text."""
    registry = CollectorRegistry()
    registry.register(_Watches(watches))
    return generate_latest(registry)


class _Watches(Collector):
    """One look at the watches."""

    def __init__(self, watches: Mapping[str, EnvironmentWatch]) -> None:
        self._watches, self._now = watches, read_clock()

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: a registry that asks first would look twice."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every state of every environment, so that an alert has a value before the first outage."""
        yield GaugeMetricFamily("terrarium_watched_environments", "Environments watched.", value=len(self._watches))
        state = GaugeMetricFamily(
            "terrarium_watch_state", "1 for what the watcher makes of it now.", labels=["environment", "state"]
        )
        cooldown = GaugeMetricFamily(
            "terrarium_watch_cooldown_seconds", "Until a failover may start by itself again.", labels=["environment"]
        )
        unseen = GaugeMetricFamily(
            "terrarium_watch_unseen_seconds", "Since the clients have seen the primary last.", labels=["environment"]
        )
        for name, watch in sorted(self._watches.items()):
            for one in WatchState:
                state.add_metric([name, one.value], float(watch.verdict.state is one))
            until = watch.standing.cooldown_until()
            cooldown.add_metric([name], max((until - self._now).total_seconds(), 0) if until else 0)
            unseen.add_metric([name], watch.unseen_seconds)
        yield from (state, cooldown, unseen)
