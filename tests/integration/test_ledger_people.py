"""The ledger's records of people: tokens, approvals, holds, and what an environment was last made with."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blocks.ledger import Ledger
from deployments.first_token import record_first_token
from domain.access import Role, hash_token
from domain.errors import PermanentError, RefusedError
from domain.status import EnvironmentStatus, Operation, RunStatus

NOW = datetime.now(UTC)
SOON = NOW + timedelta(hours=1)


def begin(ledger: Ledger, run_id: str, operation: Operation, actor: str, version: int = 1) -> None:
    """A run of dev that has begun."""
    ledger.begin_run(run_id, "dev", operation, "flow", version, None, actor, "host", 1)


def test_a_token_is_found_by_its_hash_and_named_once(ledger: Ledger) -> None:
    """Its end and its revocation are read back; a name that was given is never given again."""
    ledger.add_token("ada", "a" * 64, Role.OPERATOR, SOON, "root")
    found = ledger.find_token("a" * 64)
    assert found is not None
    assert (found.name, found.role, found.expires_at, found.revoked_at) == ("ada", Role.OPERATOR, SOON, None)
    assert ledger.find_token("b" * 64) is None
    ledger.revoke_token("ada", "root", "left")
    ledger.revoke_token("ada", "root", "left")
    assert ledger.list_tokens()[0].revoked_at is not None
    with pytest.raises(PermanentError, match="There is, or was, a token ada"):
        ledger.add_token("ada", "c" * 64, Role.VIEWER, None, "root")
    with pytest.raises(PermanentError, match="There is no token bob"):
        ledger.revoke_token("bob", "root")
    assert [event.kind for event in ledger.list_events()] == ["token", "token_revocation"]
    assert ledger.verify_chain() is None


def test_an_approval_stands_beside_its_plan(ledger: Ledger) -> None:
    """Oldest first, with the digest; who asked first for a plan that counts is its requester."""
    ledger.add_spec("dev", "{}", "", "ada")
    for run_id, actor, plan_id in (("run-1", "ada", "p1"), ("run-2", "bob", "p1"), ("run-3", "bob", "p2")):
        begin(ledger, run_id, Operation.PLAN, actor)
        ledger.add_plan(plan_id, "dev", 1, run_id, "d" * 64, "{}", "x", SOON)
    assert (ledger.read_requester("p1", NOW), ledger.read_requester("p2", NOW)) == ("ada", "bob")
    assert ledger.read_requester("p1", SOON) is None
    ledger.add_approval("p1", "dev", "d" * 64, "bob", "seen", SOON)
    ledger.add_approval("p1", "dev", "d" * 64, "cleo", "seen too", SOON)
    assert [one.approver for one in ledger.list_approvals("p1")] == ["bob", "cleo"]
    assert {one.digest for one in ledger.list_approvals("p1")} == {"d" * 64}
    assert ledger.list_approvals("p2") == ()


def test_one_hold_at_a_time(ledger: Ledger) -> None:
    """The holder's own is replaced, another's refused; one that is over stands in nobody's way."""
    ledger.add_hold("dev", "ada", "first", SOON)
    ledger.add_hold("dev", "ada", "second", SOON)
    with pytest.raises(RefusedError, match="held already, by ada"):
        ledger.add_hold("dev", "bob", "mine", SOON)
    held = ledger.read_hold("dev")
    assert held is not None
    assert held.reason == "second"
    ledger.release_hold("dev", "bob", "over")
    ledger.release_hold("dev", "bob", "over")
    assert ledger.read_hold("dev") is None
    ledger.add_hold("dev", "ada", "short", NOW - timedelta(minutes=1))
    ledger.add_hold("dev", "bob", "mine", SOON)
    assert [event.kind for event in ledger.list_events("dev")].count("hold_release") == 3


def test_what_an_environment_was_made_with_is_of_a_run_that_ended(ledger: Ledger) -> None:
    """Neither a run that goes on nor one that was refused says with what the environment was made."""
    for number in (1, 2, 3):
        ledger.add_spec("dev", f'{{"n":{number}}}', "", "ada")
    assert ledger.read_made_version("dev") is None
    begin(ledger, "run-1", Operation.PROVISION, "ada", 1)
    ledger.open_generation("dev", "run-1", "nonproduction", "")
    assert ledger.read_made_version("dev") is None
    ledger.finish_run("run-1", RunStatus.SUCCEEDED, EnvironmentStatus.READY)
    begin(ledger, "run-2", Operation.PROVISION, "ada", 2)
    assert ledger.read_made_version("dev") == 1
    ledger.finish_run("run-2", RunStatus.REFUSED, None)
    assert ledger.read_made_version("dev") == 1
    begin(ledger, "run-3", Operation.PROVISION, "ada", 3)
    ledger.finish_run("run-3", RunStatus.FAILED, EnvironmentStatus.DEGRADED)
    assert ledger.read_made_version("dev") == 3
    begin(ledger, "run-4", Operation.TEARDOWN, "ada", 3)
    ledger.finish_run("run-4", RunStatus.SUCCEEDED, EnvironmentStatus.DESTROYED)
    assert ledger.read_made_version("dev") is None


def test_the_first_token_is_an_administrators(ledger: Ledger, tmp_path: Path) -> None:
    """On record once; another file's token takes its place and ends it; a token of a few letters is none."""
    file = tmp_path / "token"
    file.write_text("x" * 40 + "\n")
    assert (record_first_token(ledger, file), record_first_token(ledger, file)) == ("admin", None)
    found = ledger.find_token(hash_token("x" * 40))
    assert found is not None
    assert (found.role, found.actor) == (Role.ADMINISTRATOR, "stack")
    ledger.add_token("ada", "a" * 64, Role.VIEWER, None, "admin")
    file.write_text("y" * 40)
    assert record_first_token(ledger, file) == "admin-2"
    assert {row.name: row.revoked_at is None for row in ledger.list_tokens()} == {
        "admin": False,
        "ada": True,
        "admin-2": True,
    }
    file.write_text("short")
    with pytest.raises(PermanentError, match="is too short"):
        record_first_token(ledger, file)


def test_a_first_token_that_was_revoked_stays_so(ledger: Ledger, tmp_path: Path) -> None:
    """`make up` gives a revoked token no new life."""
    file = tmp_path / "token"
    file.write_text("x" * 40)
    record_first_token(ledger, file)
    ledger.revoke_token("admin", "ada")
    assert record_first_token(ledger, file) is None
    assert [row.revoked_at is None for row in ledger.list_tokens()] == [False]
