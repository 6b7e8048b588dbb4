"""Metrics for Prometheus, read from the ledger and Prefect at each scrape: no process of ours counts anything itself.

What cannot be asked is left out, and `terrarium_up` says of which part.
"""

from collections.abc import Iterator
from datetime import datetime

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from blocks.ledger.measures import Measures, RunMeasure
from console.sources import Given, Sources
from domain.errors import TerrariumError
from domain.status import EnvironmentStatus, Operation, RunStatus

router = APIRouter(tags=["metrics"])

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: A refusal takes no time, a plan seconds, an apply on AWS half an hour.
BOUNDS_SECONDS = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
#: Runs whose counts start at 0, so that a ratio has a value before the first failure.
FLOWS = (Operation.PLAN, Operation.PROVISION, Operation.TEARDOWN, Operation.FAILOVER)
OUTCOMES = tuple(status for status in RunStatus if status.is_final)
Metric = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


@router.get("/metrics", response_class=Response)
def get_metrics(sources: Given) -> Response:
    """Runs by flow and outcome, durations, queue, leases, holds, and the ages of the last sweep and anchor."""
    registry = CollectorRegistry()
    registry.register(_Scrape(sources))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE)


class _Scrape(Collector):
    """One look at the world."""

    def __init__(self, sources: Sources) -> None:
        self._sources, self._now = sources, sources.read_clock()

    def describe(self) -> Iterator[Metric]:
        """Nothing: a registry that asks first would scrape twice."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """All families. A part that does not answer takes only its own with it."""
        up = GaugeMetricFamily("terrarium_up", "Whether a part that the API needs answers.", labels=["part"])
        for part, read in (("ledger", self._read_ledger), ("prefect", self._read_prefect)):
            try:
                found = list(read())
            except TerrariumError:
                up.add_metric([part], 0)
                continue
            up.add_metric([part], 1)
            yield from found
        yield up

    def _read_ledger(self) -> Iterator[Metric]:
        measures = self._sources.ledger.read_measures(BOUNDS_SECONDS, self._now)
        yield from _count_runs(measures.runs)
        yield from _describe_leases(measures, self._now)
        environments = GaugeMetricFamily("terrarium_environments", "Environments by status.", labels=["status"])
        for status in EnvironmentStatus:
            environments.add_metric([status.value], measures.environments.get(status.value, 0))
        yield environments
        yield GaugeMetricFamily("terrarium_open_holds", "Holds that nobody released.", value=measures.open_holds)
        yield GaugeMetricFamily("terrarium_evidence_events", "Events of the chain.", value=measures.events)
        if measures.anchored_at:
            age = (self._now - measures.anchored_at).total_seconds()
            yield GaugeMetricFamily("terrarium_anchor_age_seconds", "Since the head was last anchored.", value=age)

    def _read_prefect(self) -> Iterator[Metric]:
        live = self._sources.prefect.read_live_runs(self._now)
        queued = [run for run in live if run.status in (RunStatus.QUEUED, RunStatus.WAITING)]
        oldest = min((run.created_at for run in queued), default=self._now)
        yield GaugeMetricFamily("terrarium_queue_runs", "Runs that are due and have not begun.", value=len(queued))
        yield GaugeMetricFamily(
            "terrarium_queue_age_seconds",
            "How long the oldest of them waits.",
            value=max((self._now - oldest).total_seconds(), 0),
        )
        if swept_at := self._sources.prefect.read_last_success("housekeeping"):
            age = (self._now - swept_at).total_seconds()
            yield GaugeMetricFamily("terrarium_sweep_age_seconds", "Since the last sweep ended well.", value=age)


def _count_runs(measures: tuple[RunMeasure, ...]) -> Iterator[Metric]:
    """Ended runs by flow and outcome, how long they took, and those that go on."""
    runs = CounterMetricFamily("terrarium_runs", "Runs that have ended.", labels=["flow", "outcome"])
    seconds = HistogramMetricFamily(
        "terrarium_run_duration_seconds", "From begin to outcome.", labels=["flow", "outcome"]
    )
    running = GaugeMetricFamily("terrarium_runs_running", "Runs without an outcome in the ledger.", labels=["flow"])
    nothing = {(flow.value, outcome.value): 0 for flow in FLOWS for outcome in OUTCOMES}
    counts = nothing | {(one.operation, one.outcome): one.count for one in measures}
    for (flow, outcome), count in sorted(counts.items()):
        if outcome == RunStatus.RUNNING.value:
            running.add_metric([flow], count)
        else:
            runs.add_metric([flow, outcome], count)
    for flow in {flow for flow, _ in nothing} - {one.operation for one in measures if one.outcome == "running"}:
        running.add_metric([flow], 0)
    for one in measures:
        if one.outcome != RunStatus.RUNNING.value:
            bounds = [(f"{float(bound)}", count) for bound, count in zip(BOUNDS_SECONDS, one.buckets, strict=True)]
            buckets = [*bounds, ("+Inf", one.count)]
            seconds.add_metric([one.operation, one.outcome], buckets=buckets, sum_value=one.seconds)
    yield from (runs, seconds, running)


def _describe_leases(measures: Measures, now: datetime) -> Iterator[Metric]:
    """Who changes an environment for how long, and how long its process has been silent."""
    labels = ["environment", "flow"]
    held = GaugeMetricFamily("terrarium_lease_age_seconds", "How long a lease is held.", labels=labels)
    silent = GaugeMetricFamily(
        "terrarium_lease_silence_seconds",
        "Since the holder's last heartbeat; without one, since it began.",
        labels=labels,
    )
    for lease in measures.leases:
        names = [lease.environment, lease.operation]
        held.add_metric(names, (now - lease.taken_at).total_seconds())
        silent.add_metric(names, (now - (lease.beat_at or lease.taken_at)).total_seconds())
    leases = GaugeMetricFamily("terrarium_leases", "Environments that a run changes now.", value=len(measures.leases))
    yield from (leases, held, silent)
