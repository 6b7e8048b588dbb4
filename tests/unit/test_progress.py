"""How far an apply is and when it will end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from domain.progress import Event, estimate, find_critical_path

START = datetime(2026, 1, 1, tzinfo=UTC)


def _event(kind: str, address: str, at_seconds: float, elapsed_seconds: float = 0.0) -> Event:
    return Event(
        at=START + timedelta(seconds=at_seconds),
        kind=kind,
        address=address,
        resource_type=address.split(".")[0],
        action="create",
        elapsed_seconds=elapsed_seconds,
    )


def _run(scale: float = 1.0) -> list[Event]:
    return [
        _event("planned", "aws_vpc.a", 0),
        _event("planned", "aws_lb.b", 0),
        _event("started", "aws_vpc.a", 0),
        _event("completed", "aws_vpc.a", 10 * scale, 10 * scale),
        _event("started", "aws_lb.b", 10 * scale),
        _event("completed", "aws_lb.b", 70 * scale, 60 * scale),
    ]


def test_without_earlier_runs_there_is_no_estimate() -> None:
    """Nothing is invented: the first run of its kind counts resources only."""
    progress = estimate(_run()[:4], [], START + timedelta(seconds=12))
    assert (progress.done, progress.planned, progress.eta_seconds) == (1, 2, None)
    assert progress.percent == 50.0


def test_the_estimate_is_what_earlier_runs_needed_until_the_types_that_are_left_ended() -> None:
    """The wait of the load balancer counts, that of the finished network does not."""
    progress = estimate(_run()[:4], [_run()], START + timedelta(seconds=20))
    assert progress.eta_seconds == 50
    assert progress.eta_low_seconds < 50 < progress.eta_high_seconds


def test_a_run_later_than_all_others_still_has_a_range() -> None:
    """Past every expectation the middle is nought and the range stays open upwards."""
    progress = estimate(_run()[:4], [_run()], START + timedelta(seconds=200))
    assert (progress.eta_seconds, progress.eta_low_seconds) == (0, 0)
    assert progress.eta_high_seconds > 0


def test_the_slowest_step_may_still_be_under_way() -> None:
    """What a person waits for now counts by the time that it has taken so far."""
    slowest = estimate(_run()[:5], [], START + timedelta(seconds=60)).slowest
    assert (slowest.address, slowest.seconds, slowest.is_done) == ("aws_lb.b", 50, False)


def test_the_critical_path_goes_back_from_the_last_by_its_latest_dependency() -> None:
    """A dependency that ended earlier than another one did not decide."""
    events = [*_run(), _event("completed", "aws_sns.c", 2, 2)]
    path = find_critical_path(events, {"aws_lb.b": {"aws_vpc.a", "aws_sns.c"}})
    assert [event.address for event in path] == ["aws_vpc.a", "aws_lb.b"]


APPLIES = Path(__file__).parent / "streams" / "applies"


def _read_applies() -> dict[str, list[Event]]:
    return {
        path.stem: [Event.model_validate_json(line) for line in path.read_text().splitlines()]
        for path in sorted(APPLIES.glob("*.jsonl"))
    }


def test_the_range_covers_what_recorded_applies_really_needed() -> None:
    """Real applies, each estimated from the others every 2 seconds: the range holds the truth 9 times of 10."""
    applies = _read_applies()
    told, covered = 0, 0
    for name, run in applies.items():
        history = [other for other_name, other in applies.items() if other_name != name]
        started_at = min(event.at for event in run if event.kind == "started")
        ended_at = max(event.at for event in run if event.kind == "completed")
        for seconds in range(0, int((ended_at - started_at).total_seconds()), 2):
            now = started_at + timedelta(seconds=seconds)
            progress = estimate([event for event in run if event.kind == "planned" or event.at <= now], history, now)
            if progress.eta_low_seconds is not None and progress.eta_high_seconds is not None:
                told += 1
                covered += progress.eta_low_seconds <= (ended_at - now).total_seconds() <= progress.eta_high_seconds
    assert told > 100
    assert covered / told >= 0.9, f"{covered} of {told}"
