"""How far a Terraform apply is and when it will end, from its own event stream and from earlier runs.

Terraform tells no estimate. Earlier runs do: when a resource ended, counted from the start of the apply, already holds
every wait on its dependencies, so no graph is needed.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from domain.changes import Changes

Kind = Literal["planned", "started", "completed", "errored"]

#: One run differs from another by about 30 % on a shared machine (measured), whatever the number of earlier runs.
NOISE_RATIO = 0.35


class Event(BaseModel):
    """One line of Terraform's stream, as the journal keeps it; `elapsed_seconds` is of completed and errored ones."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    kind: Kind
    address: str
    resource_type: str
    action: str
    resource_id: str = ""
    elapsed_seconds: float = 0.0


def read_event(message: dict[str, Any]) -> Event | None:
    """The event in one message of `terraform apply -json`, None for those that tell nothing of a resource's state.

    Source: Terraform's machine-readable UI, types apply_start, apply_complete and apply_errored.
    """
    kinds: dict[str, Kind] = {"apply_start": "started", "apply_complete": "completed", "apply_errored": "errored"}
    if message.get("type") not in kinds:
        return None
    hook = message["hook"]
    return Event(
        at=datetime.fromisoformat(message["@timestamp"]),
        kind=kinds[message["type"]],
        address=hook["resource"]["addr"],
        resource_type=hook["resource"]["resource_type"],
        action=hook["action"],
        resource_id=hook.get("id_value", ""),
        elapsed_seconds=hook.get("elapsed_seconds", 0.0),
    )


def list_planned(changes: Changes, now: datetime) -> list[Event]:
    """The events that open a journal: what the apply is about to do, in the words of Terraform's stream."""
    words = {"add": "create", "change": "update", "replace": "replace", "destroy": "delete"}
    return [
        Event(at=now, kind="planned", address=c.address, resource_type=c.resource_type, action=words[c.action])
        for c in changes.items
    ]


class Slowest(BaseModel):
    """The resource that took longest so far, or that is under way for the longest time."""

    model_config = ConfigDict(frozen=True)

    address: str
    seconds: float
    is_done: bool


class Progress(BaseModel):
    """Resources done of planned; `eta_seconds` with its range is None where no earlier run tells anything."""

    model_config = ConfigDict(frozen=True)

    done: int
    planned: int
    eta_seconds: float | None = None
    eta_low_seconds: float | None = None
    eta_high_seconds: float | None = None
    slowest: Slowest | None = None

    @property
    def percent(self) -> float:
        """0 to 100; an apply without planned resources is complete."""
        return 100.0 if not self.planned else round(100.0 * self.done / self.planned, 1)


def estimate(events: Sequence[Event], history: Sequence[Sequence[Event]], now: datetime) -> Progress:
    """Progress of an apply at `now` from its `events` so far and those of earlier applies.

    No time is told while a type of resource is left that no earlier apply had.
    """
    planned = {event.address: event for event in events if event.kind == "planned"}
    done = {event.address for event in events if event.kind == "completed"}
    progress = Progress(done=len(done & planned.keys()), planned=len(planned), slowest=_find_slowest(events, now))
    started_at = min((event.at for event in events if event.kind == "started"), default=now)
    elapsed = (now - started_at).total_seconds()
    waiting = [event for address, event in planned.items() if address not in done]
    ends = _expect_ends(waiting, _find_offsets(events, "started"), history, elapsed)
    if any(end is None for end in ends):
        return progress
    return progress.model_copy(update=_estimate_range([end for end in ends if end], elapsed, len(history)))


class _End(NamedTuple):
    """When a resource ends, in seconds from the start of the apply: at the soonest, probably, at the latest."""

    low: float
    middle: float
    high: float


def _expect_ends(
    waiting: Sequence[Event], starts: dict[str, float], history: Sequence[Sequence[Event]], elapsed_seconds: float
) -> list[_End | None]:
    """For each resource when it ended in earlier applies; where none had it, how long others of its type took.

    A new resource that has not started waits for something: at the latest for everything that is known to end.
    """
    ended = [_find_offsets(run, "completed") for run in history]
    known = {one.address: [run[one.address] for run in ended if one.address in run] for one in waiting}
    latest = max((end for ends in known.values() for end in ends), default=elapsed_seconds)
    expected: list[_End | None] = []
    for one in waiting:
        if ends := sorted(known[one.address]):
            expected.append(_End(ends[0], ends[len(ends) // 2], ends[-1]))
        elif took := sorted(_find_durations(history, one)):
            start = starts.get(one.address, elapsed_seconds)
            last_start = starts.get(one.address, max(latest, elapsed_seconds))
            expected.append(_End(start + took[0], start + took[len(took) // 2], last_start + took[-1]))
        else:
            expected.append(None)
    return expected


def _estimate_range(ends: Sequence[_End], elapsed_seconds: float, runs: int) -> dict[str, float]:
    """Remaining seconds until the last resource ends, with a range around them.

    The range is that of the earlier applies, and at least as wide as one apply differs from another, the wider the
    fewer of them there are.
    """
    if not ends:
        return {"eta_seconds": 0.0, "eta_low_seconds": 0.0, "eta_high_seconds": 0.0}
    middle = max(end.middle for end in ends)
    width = 1 + NOISE_RATIO * (1 + 1 / runs) ** 0.5
    low = min(max(end.low for end in ends), middle / width)
    high = max(max(end.high for end in ends), middle * width)
    # An apply that is past every expectation is late by an unknown time: up to a share of what it took so far.
    overdue = elapsed_seconds * NOISE_RATIO
    return {
        "eta_seconds": round(max(middle - elapsed_seconds, 0.0), 1),
        "eta_low_seconds": round(max(low - elapsed_seconds, 0.0), 1),
        "eta_high_seconds": round(max(high - elapsed_seconds, overdue), 1),
    }


def _find_offsets(run: Sequence[Event], kind: Kind) -> dict[str, float]:
    """Seconds from the first start of an apply to the events of a kind, by address."""
    started_at = min((event.at for event in run if event.kind == "started"), default=None)
    if started_at is None:
        return {}
    return {event.address: (event.at - started_at).total_seconds() for event in run if event.kind == kind}


def _find_durations(history: Sequence[Sequence[Event]], one: Event) -> list[float]:
    """Seconds that the same action took on resources of the same type."""
    return [
        event.elapsed_seconds
        for run in history
        for event in run
        if event.kind == "completed" and (event.resource_type, event.action) == (one.resource_type, one.action)
    ]


def _find_slowest(events: Sequence[Event], now: datetime) -> Slowest | None:
    ended = {event.address: event for event in events if event.kind in ("completed", "errored")}
    seen = [
        Slowest(address=address, seconds=event.elapsed_seconds, is_done=True) for address, event in ended.items()
    ] + [
        Slowest(address=event.address, seconds=round((now - event.at).total_seconds(), 1), is_done=False)
        for event in events
        if event.kind == "started" and event.address not in ended
    ]
    return max(seen, key=lambda slowest: slowest.seconds, default=None)


def render_progress(progress: Progress) -> str:
    """One line: resources done of planned, the time left with its range until all are done, the slowest resource."""
    words = [f"{progress.done} of {progress.planned} resources"]
    if progress.eta_seconds is not None and progress.done < progress.planned:
        words.append(
            f"about {progress.eta_seconds:.0f} s left"
            f" ({progress.eta_low_seconds:.0f} to {progress.eta_high_seconds:.0f} s)"
        )
    if progress.slowest:
        words.append(f"slowest: {progress.slowest.address}, {progress.slowest.seconds:.0f} s")
    return "; ".join(words)


def find_critical_path(events: Iterable[Event], dependencies: dict[str, set[str]]) -> list[Event]:
    """The chain of completed resources that decided how long the apply took, first to last.

    `dependencies` maps an address to the addresses it waits for. From the last to end, each link is the dependency that
    ended last: the classical critical path over what was measured.
    """
    ended = {event.address: event for event in events if event.kind == "completed"}
    path: list[Event] = []
    link = max(ended.values(), key=lambda event: event.at, default=None)
    while link is not None:
        path.append(link)
        candidates = [ended[name] for name in dependencies.get(link.address, ()) if name in ended]
        earlier = [event for event in candidates if event.at <= link.at and event not in path]
        link = max(earlier, key=lambda event: event.at, default=None)
    return path[::-1]
