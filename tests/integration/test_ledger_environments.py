"""What the ledger says of environments: their status, their lives, and when a temporary one ends."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from blocks.ledger import EnvironmentRow, Ledger
from domain.errors import PermanentError
from domain.status import EnvironmentStatus, Operation, RunStatus

READY = EnvironmentStatus.READY
SOON = timedelta(minutes=60)


class Story:
    """Runs of one environment, told in their order."""

    def __init__(self, ledger: Ledger, ttl_minutes: int | None = 60) -> None:
        self.ledger, self.count = ledger, 0
        self.add_spec(ttl_minutes)

    def add_spec(self, ttl_minutes: int | None, region: str = "eu-central-1") -> int:
        """Store a spec with this TTL; its version."""
        spec = {
            "class": "sandbox",
            "cloud": "aws",
            "account": "nonproduction",
            "region": region,
            "owner": "ada@example.com",
        }
        if ttl_minutes:
            spec |= {"ttl": f"{ttl_minutes}m", "ttl_warning": "10m"}  # type: ignore[dict-item]  # the others are numbers
        return self.ledger.add_spec("sandbox", json.dumps(spec), "", "ada")

    def begin(self, operation: Operation = Operation.PROVISION, version: int | None = 1) -> str:
        """Begin a run as the flow does; its id."""
        self.count += 1
        run_id = f"run-{self.count}"
        self.ledger.begin_run(run_id, "sandbox", operation, "flow", version, None, "ada", "host", 1)
        self.ledger.open_generation("sandbox", run_id, "nonproduction", "http://127.0.0.1:5566")
        return run_id

    def run(
        self,
        left: EnvironmentStatus | None,
        operation: Operation = Operation.PROVISION,
        version: int = 1,
        resources: int | None = None,
    ) -> str:
        """A whole run that leaves the environment so; its id."""
        run_id = self.begin(operation, version)
        report = None if resources is None else {"resources": resources}
        status = RunStatus.SUCCEEDED if left in (READY, EnvironmentStatus.DESTROYED) else RunStatus.FAILED
        self.ledger.finish_run(run_id, status, left, report=report)
        return run_id

    def tear_down(self) -> None:
        """A teardown that leaves nothing."""
        self.run(EnvironmentStatus.DESTROYED, Operation.TEARDOWN)

    @property
    def now(self) -> EnvironmentRow:
        """The environment as the ledger sees it now."""
        row = self.ledger.read_environment("sandbox")
        assert row is not None
        return row


@pytest.fixture
def story(ledger: Ledger) -> Story:
    """A sandbox with a TTL of 60 minutes that nobody has made yet."""
    return Story(ledger)


def test_environment_is_listed_from_its_first_run(story: Story) -> None:
    """A spec or a plan alone is no environment; the begin of a provisioning is."""
    story.run(None, Operation.PLAN)
    assert story.ledger.list_environments() == []
    story.begin()
    row = story.now
    assert (row.status, row.resources, row.expires_at) == (EnvironmentStatus.PROVISIONING, 0, None)
    assert (row.cls, row.cloud, row.region, row.account) == ("sandbox", "aws", "eu-central-1", "nonproduction")
    assert (row.generation, row.spec_version, row.scope) == (1, 1, "infrastructure")


@pytest.mark.parametrize("left", [READY, EnvironmentStatus.FAILED, EnvironmentStatus.DEGRADED])
def test_outcome_decides_the_status(story: Story, left: EnvironmentStatus) -> None:
    """What a run says it left is the status, and its report has the count of resources."""
    story.run(left, resources=7)
    assert (story.now.status, story.now.resources) == (left, 7)


def test_run_that_changed_nothing_leaves_the_status(story: Story) -> None:
    """A refused run or a failed plan of a ready environment leaves it ready, at the spec it had."""
    story.run(READY, resources=7)
    version = story.add_spec(60, region="eu-west-1")
    story.run(None, version=version)
    story.run(None, Operation.TEARDOWN)
    story.begin(Operation.PLAN)
    row = story.now
    assert (row.status, row.spec_version, row.region, row.resources) == (READY, 1, "eu-central-1", 7)


def test_change_of_a_live_environment_is_a_provisioning(story: Story) -> None:
    """While a second apply runs the status says so; first-ready time, generation and count are kept."""
    story.run(READY, resources=7)
    before = story.now
    version = story.add_spec(60, region="eu-west-1")
    story.begin(version=version)
    row = story.now
    assert (row.status, row.region) == (EnvironmentStatus.PROVISIONING, "eu-west-1")
    assert (row.ready_at, row.generation, row.resources) == (before.ready_at, 1, 7)


def test_dead_run_leaves_its_status_until_a_later_outcome(story: Story) -> None:
    """A run that was killed has no outcome: the environment is as it left it, until another run ends."""
    story.begin()
    story.run(None)
    assert story.now.status is EnvironmentStatus.PROVISIONING
    story.run(READY)
    assert story.now.status is READY


def test_teardown_ends_a_life(story: Story) -> None:
    """Destroying, then destroyed without resources or an end; the next run opens the next generation."""
    story.run(READY, resources=7)
    run_id = story.begin(Operation.TEARDOWN)
    assert story.now.status is EnvironmentStatus.DESTROYING
    story.ledger.finish_run(run_id, RunStatus.SUCCEEDED, EnvironmentStatus.DESTROYED, report={"resources": 0})
    row = story.now
    assert (row.status, row.resources, row.expires_at) == (EnvironmentStatus.DESTROYED, 0, None)
    assert (row.generation, row.region) == (None, "eu-central-1")
    assert story.ledger.read_generation("sandbox") is None
    origin = story.run(READY)
    opened = story.ledger.read_generation("sandbox")
    assert opened is not None
    assert (opened.number, opened.origin_run_id) == (2, origin)


def test_generation_is_the_one_that_is_live(story: Story) -> None:
    """A generation keeps its first run, account and endpoint, whoever asks for it later."""
    story.run(EnvironmentStatus.FAILED)
    again = story.begin()
    opened = story.ledger.open_generation("sandbox", again, "production", "elsewhere")
    assert (opened.number, opened.origin_run_id, opened.account) == (1, "run-1", "nonproduction")


def test_failed_teardown_keeps_the_life(story: Story) -> None:
    """What a failed teardown left still lives, with its generation."""
    story.run(READY)
    story.run(EnvironmentStatus.FAILED, Operation.TEARDOWN)
    assert (story.now.status, story.now.generation) == (EnvironmentStatus.FAILED, 1)


def test_lost_environment_has_nothing(story: Story) -> None:
    """An emulator that forgot: lost, no resources, no end; made again it is a new life."""
    story.run(READY, resources=7)
    assert story.ledger.mark_lost("sandbox", "the emulator restarted")
    assert not story.ledger.mark_lost("sandbox", "the emulator restarted")
    row = story.now
    assert (row.status, row.resources, row.expires_at) == (EnvironmentStatus.LOST, 0, None)
    story.run(READY, resources=7)
    assert (story.now.status, story.now.generation) == (READY, 2)


def test_ttl_counts_from_the_first_ready(story: Story) -> None:
    """The end is the TTL after the first `ready`; later applies do not move it, a new TTL in the spec does."""
    story.run(READY)
    first = story.now.ready_at
    assert first is not None
    assert story.now.expires_at == first + SOON
    story.run(READY)
    story.run(EnvironmentStatus.DEGRADED)
    assert story.now.expires_at == first + SOON
    story.run(READY, version=story.add_spec(90))
    assert story.now.expires_at == first + timedelta(minutes=90)


def test_failed_environment_ends_too(story: Story) -> None:
    """One that never was ready ends its TTL after its first outcome: it costs money all the same."""
    story.run(EnvironmentStatus.FAILED)
    assert story.now.expires_at == story.now.changed_at + SOON


def test_extension_is_kept_by_an_apply(story: Story) -> None:
    """The newest extension counts, over an apply and over a loss; a teardown ends it."""
    story.run(READY)
    until = datetime.now(UTC) + timedelta(days=2)
    story.ledger.add_extension("sandbox", until + SOON, "ada")
    story.ledger.add_extension("sandbox", until, "ada", "the demo is on Friday")
    story.run(READY)
    assert story.now.expires_at == until
    story.ledger.mark_lost("sandbox", "the emulator restarted")
    story.run(READY)
    assert story.now.expires_at == until
    story.tear_down()
    story.run(READY)
    assert story.now.ready_at is not None
    assert story.now.expires_at == story.now.ready_at + SOON


def test_extension_that_is_over_does_not_end_a_new_life(story: Story) -> None:
    """An environment that is made again after its extension ran out lives for its TTL."""
    story.run(READY)
    story.ledger.add_extension("sandbox", datetime.now(UTC) - SOON, "ada")
    story.ledger.mark_lost("sandbox", "the emulator restarted")
    story.run(READY)
    assert story.now.ready_at is not None
    assert story.now.expires_at == story.now.ready_at + SOON


def test_environment_without_ttl_never_ends(ledger: Ledger) -> None:
    """Without a TTL in its spec an environment has no end, and an extension gives it none."""
    story = Story(ledger, ttl_minutes=None)
    story.run(READY)
    ledger.add_extension("sandbox", datetime.now(UTC), "ada")
    assert story.now.expires_at is None
    assert ledger.list_temporary() == []


def test_what_does_not_exist_is_not_extended(story: Story) -> None:
    """An extension of an environment that is not there is refused with the way to make it."""
    with pytest.raises(PermanentError, match=r"does not exist now.*terrarium env apply"):
        story.ledger.add_extension("sandbox", datetime.now(UTC), "ada")


def test_temporary_environments_tell_what_was_said_of_their_end(story: Story) -> None:
    """A warning is known with the end it spoke of, a teardown with its start, until an extension moves the end."""
    story.run(READY)
    (fresh,) = story.ledger.list_temporary()
    assert (fresh.environment, fresh.warning_minutes, fresh.warned_for, fresh.expiring_since) == (
        "sandbox",
        10,
        None,
        None,
    )
    story.ledger.add_notice("sandbox", "warn", fresh.expires_at)
    story.ledger.add_notice("sandbox", "expire", fresh.expires_at)
    (told,) = story.ledger.list_temporary()
    assert told.warned_for == told.expires_at == fresh.expires_at
    assert told.expiring_since is not None
    story.ledger.add_extension("sandbox", fresh.expires_at + SOON, "ada")
    (extended,) = story.ledger.list_temporary()
    assert (extended.warned_for, extended.expiring_since) == (fresh.expires_at, None)


def test_what_is_leaving_is_not_temporary(story: Story) -> None:
    """An environment that is being destroyed, is destroyed or lost is not to expire again."""
    story.run(READY)
    story.begin(Operation.TEARDOWN)
    assert story.ledger.list_temporary() == []
    story.tear_down()
    assert story.ledger.list_temporary() == []
