"""Tokens, roles, approvals, holds and accounts through the API, on a real ledger."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from httpx import Client

from blocks.ledger import Ledger
from console.access import LEAST_ROLE
from domain.access import Role
from domain.changes import Change, Changes
from domain.status import Operation, RunStatus
from tests.api_face import ROOT, TRY, Face, open_face

PRODUCTION = (ROOT / "environments" / "production.yaml").read_text()
CHANGED = Changes(items=(Change(address="aws_sqs_queue.main", resource_type="aws_sqs_queue", action="change"),))
ACCOUNT: dict[str, Any] = {
    "name": "team-b",
    "account_id": "333333333333",
    "region": "eu-central-1",
    "kind": "emulator",
    "endpoint_url": "http://127.0.0.1:9",
    "state_bucket": "terrarium-state-3",
    "vault_bucket": "terrarium-vault-3",
}


@pytest.fixture
def face(ledger: Ledger) -> Iterator[Face]:
    """An API on an empty ledger."""
    with open_face(ledger) as face:
        yield face


def plan(face: Face, client: Client, plan_id: str = "p1", changes: Changes = CHANGED) -> None:
    """Somebody's plan of production, as its run leaves it."""
    run = face.read(client.post("/api/environments", json={"spec": PRODUCTION, "plan_only": True}), 202)
    face.begin(run)
    soon = face.sources.read_clock() + timedelta(hours=2)
    version = run["spec_version"]
    kept = (changes.digest(), changes.model_dump_json(), f"plans/production/{plan_id}", soon)
    face.ledger.add_plan(plan_id, "production", version, run["run_id"], *kept)
    face.ledger.finish_run(run["run_id"], RunStatus.SUCCEEDED, None, changes.counts, {"plan_id": plan_id})


def apply(client: Client, plan_id: str = "p1") -> Any:
    """Ask for the apply of a plan of production."""
    return client.post("/api/environments/production/apply", json={"plan_id": plan_id})


def approve(client: Client, plan_id: str = "p1", reason: str = "seen") -> Any:
    """Approve a plan."""
    return client.post(f"/api/plans/{plan_id}/approve", json={"reason": reason})


def test_a_token_is_told_once_and_counts_until_it_is_revoked(face: Face) -> None:
    """Its value is in one answer, its hash in the ledger; the actor of what it asks for is its name."""
    made = face.read(face.client.post("/api/tokens", json={"name": "ada", "role": "developer", "expires": "8h"}), 201)
    assert made["token"]["created_by"] == "operator"
    ada = face.call_as(made["value"])
    assert face.read(ada.post("/api/environments", json={"spec": TRY}), 202)["actor"] == "ada"
    listed = face.get("/api/tokens")["tokens"]
    assert [row["name"] for row in listed] == ["operator", "ada"]
    assert made["value"] not in str(listed)
    assert made["value"] not in str(face.ledger.list_events(limit=1000))
    revoked = face.read(face.client.delete("/api/tokens/ada"))
    assert revoked["revoked_at"] is not None
    assert face.read(face.client.delete("/api/tokens/ada")) == revoked
    assert face.read(ada.get("/api/runs"), 401)["error"]["kind"] == "unauthorized"
    assert face.post("/api/tokens", {"name": "ada", "role": "viewer"}, 409)["error"]["kind"] == "conflict"
    assert face.post("/api/tokens", {"name": "prefect-ui", "role": "viewer"}, 409)["error"]["kind"] == "refused"
    assert face.read(face.client.delete("/api/tokens/bob"), 404)["error"]["kind"] == "unknown"


def test_a_token_that_is_over_counts_no_more(face: Face) -> None:
    """Its end is a time in the ledger; the clock of the API decides."""
    client = face.give_token("ada", Role.VIEWER, ends_in=timedelta(hours=1))
    face.read(client.get("/api/runs"))
    over = face.give_token("bob", Role.VIEWER, ends_in=timedelta(seconds=-1))
    assert face.read(over.get("/api/runs"), 401)["error"]["kind"] == "unauthorized"


@pytest.mark.parametrize("role", list(Role))
def test_every_route_is_closed_to_a_smaller_role(face: Face, role: Role) -> None:
    """403 exactly where the table asks for more; the answer names both roles. No body is read before."""
    client = face.give_token("somebody", role)
    for (method, path), least in LEAST_ROLE.items():
        if not role.includes(least):
            address = path.replace("{", "").replace("}", "")
            error = face.read(client.request(method, address, content=b"{"), 403)["error"]
            assert error["kind"] == "forbidden"
            assert f"role {role}; this needs {least}" in error["summary"]
        elif method == "GET":
            assert client.request(method, path).status_code in (200, 404)


@pytest.mark.parametrize("host", ["h/api/status?", "h/health?", "h/api/status#"])
def test_the_role_is_of_the_address_that_is_reached(face: Face, host: str) -> None:
    """A header that names another address gives no other role."""
    client = face.give_token("somebody", Role.VIEWER)
    answer = client.get("/api/tokens", headers={"Host": host})
    assert face.read(answer, 403)["error"]["kind"] == "forbidden"


def test_a_change_of_a_protected_environment_needs_somebody_else(face: Face) -> None:
    """Refused without an approval, and with the requester's own; with another's it starts, and the ledger knows why."""
    face.make(PRODUCTION)
    ada, bob = face.give_token("ada", Role.OPERATOR), face.give_token("bob", Role.OPERATOR)
    plan(face, ada)
    shown = face.read(ada.get("/api/plans/p1"))
    assert (shown["requester"], shown["is_approval_needed"], shown["is_approved"]) == ("ada", True, False)
    refused = face.read(apply(ada), 409)["error"]
    assert refused["kind"] == "refused"
    assert "terrarium approve p1" in refused["resolution"]
    assert "asked for by ada" in face.read(approve(ada), 409)["error"]["summary"]
    assert face.read(approve(bob, reason=" "), 422)["error"]["kind"] == "bad_request"
    approved = face.read(approve(bob))
    assert approved["is_approved"]
    assert [(row["approver"], row["reason"]) for row in approved["approvals"]] == [("bob", "seen")]
    assert approved["approvals"][0]["expires_at"] == shown["expires_at"]
    assert "bob asked for the change" in face.read(apply(bob), 409)["error"]["summary"]
    assert face.read(apply(ada), 202)["operation"] == "provision"
    events = {event.kind: event for event in face.ledger.list_events("production", limit=1000)}
    assert (events["approval"].actor, events["approval"].reason, events["approval"].outcome) == ("bob", "seen", "p1")


def test_who_looks_at_a_plan_again_may_still_approve_it(face: Face) -> None:
    """The same plan made again has the same id; it stays the request of who asked for it first."""
    face.make(PRODUCTION)
    ada, bob = face.give_token("ada"), face.give_token("bob")
    plan(face, ada)
    plan(face, bob)
    face.read(approve(ada), 409)
    assert face.read(approve(bob))["requester"] == "ada"


def test_an_approval_is_void_when_the_spec_has_changed(face: Face) -> None:
    """What was approved is of a spec that is not the newest any more: nothing of it can be approved anew."""
    face.make(PRODUCTION)
    ada, bob = face.give_token("ada"), face.give_token("bob")
    plan(face, ada)
    face.read(approve(bob))
    other = {"spec": PRODUCTION.replace("TB-100", "TB-7"), "plan_only": True}
    face.read(ada.post("/api/environments", json=other), 202)
    for ask, client in ((apply, ada), (approve, bob)):
        refused = face.read(ask(client), 409)["error"]
        assert "its spec has changed since plan p1 was made (1 keys: cost_centre: TB-100 → TB-7)" in refused["summary"]


def test_creation_and_an_empty_plan_need_nobody(face: Face) -> None:
    """Until its first `ready` a protected environment is anybody's; a plan without a change too."""
    ada = face.give_token("ada")
    plan(face, ada)
    assert face.read(apply(ada), 202)["operation"] == "provision"
    face.make(PRODUCTION)
    plan(face, ada, "p2", Changes())
    face.read(apply(ada, "p2"), 202)


def test_an_unprotected_spec_that_only_waits_takes_no_protection_away(face: Face) -> None:
    """A run that began with another spec has made nothing: the environment is still as protected as it was made."""
    face.make(PRODUCTION)
    lifted = PRODUCTION + "\nprotection:\n  teardown: allowed\n"
    face.begin(face.create(lifted))
    assert face.read(face.client.delete("/api/environments/production"), 409)["error"]["kind"] == "refused"


def test_a_hold_refuses_changes_and_tells_whom_to_ask(face: Face) -> None:
    """Another's hold cannot be replaced, a plan can be made, and who ended a hold is on record."""
    face.make()
    ada, bob = face.give_token("ada"), face.give_token("bob")
    hold = {"reason": "incident 12", "duration": "2h"}
    face.read(ada.post("/api/environments/try/hold", json=hold))
    assert face.get("/api/environments/try")["hold"]["holder"] == "ada"
    refused = face.post("/api/environments", {"spec": TRY}, 409)["error"]
    assert (refused["kind"], "held by ada until" in refused["summary"]) == ("refused", True)
    face.read(face.client.delete("/api/environments/try"), 409)
    face.create(plan_only=True)
    assert "by ada" in face.read(bob.post("/api/environments/try/hold", json=hold), 409)["error"]["summary"]
    face.read(ada.post("/api/environments/try/hold", json={**hold, "duration": "1h"}))
    assert face.read(bob.delete("/api/environments/try/hold"))["holder"] == "ada"
    face.read(bob.delete("/api/environments/try/hold"), 404)
    face.create()
    events = [(event.kind, event.actor) for event in face.ledger.list_events("try", limit=1000)]
    assert [event for event in events if "hold" in event[0]] == [
        ("hold", "ada"),
        ("hold_release", "ada"),
        ("hold", "ada"),
        ("hold_release", "bob"),
    ]


def test_a_hold_ends_by_itself(face: Face) -> None:
    """A hold whose time is over stops nothing and is shown no more."""
    face.make()
    face.ledger.add_hold("try", "ada", "over", face.sources.read_clock() - timedelta(seconds=1))
    assert face.get("/api/environments/try")["hold"] is None
    face.create()
    face.read(face.client.delete("/api/environments/try/hold"), 404)


def test_a_run_that_waits_for_an_approval_tells_whose_and_how(face: Face) -> None:
    """`waiting`, with the plan and the command that lets it go on."""
    face.make(PRODUCTION)
    run = face.create(PRODUCTION)
    face.begin(run)
    soon = face.sources.read_clock() + timedelta(hours=2)
    kept = (CHANGED.digest(), CHANGED.model_dump_json(), "plans/production/p9", soon)
    face.ledger.add_plan("p9", "production", run["spec_version"], run["run_id"], *kept)
    face.ledger.enter_run(run["run_id"], "production")
    assert face.ledger.take_lease("production", run["run_id"]) is None
    face.ledger.begin_step(run["run_id"], "await_approval", {"plan_id": "p9"})
    face.prefect.enter(run["run_id"], RunStatus.WAITING)
    shown = face.get(f"/api/runs/{run['run_id']}")
    assert (shown["status"], shown["plan_id"]) == ("waiting", "p9")
    assert [change["address"] for change in shown["planned"]] == ["aws_sqs_queue.main"]
    assert "terrarium approve p9" in shown["resolution"]


def test_accounts_are_registered_listed_and_keep_their_number(face: Face) -> None:
    """A change of number or kind is refused; an emulator without an address is none; a check tells what is wrong."""
    assert face.post("/api/accounts", ACCOUNT, 200)["name"] == "team-b"
    face.post("/api/accounts", {**ACCOUNT, "state_bucket": "another-bucket"}, 200)
    assert [(row["name"], row["state_bucket"]) for row in face.get("/api/accounts")["accounts"]] == [
        ("team-b", "another-bucket")
    ]
    assert face.post("/api/accounts", {**ACCOUNT, "account_id": "4" * 12}, 409)["error"]["kind"] == "refused"
    assert face.post("/api/accounts", {**ACCOUNT, "endpoint_url": None}, 422)["error"]["kind"] == "bad_request"
    assert face.post("/api/accounts", {**ACCOUNT, "secret_key": "x"}, 422)["error"]["kind"] == "bad_request"
    checked = face.post("/api/accounts/team-b/check", status_code=200)
    assert (checked["ok"], checked["identity"]) == (False, None)
    assert checked["resolution"]
    face.post("/api/accounts/nobody/check", status_code=404)


def test_an_account_keeps_its_place_while_environments_live_there(face: Face) -> None:
    """Other buckets are refused, the known key stays, and the ledger tells who changed what."""
    living = {**ACCOUNT, "name": "nonproduction"}
    face.post("/api/accounts", {**living, "kms_key_id": "key"}, 200)
    face.make()
    error = face.post("/api/accounts", {**living, "vault_bucket": "another-bucket"}, 409)["error"]
    assert (error["kind"], "nonproduction has try" in error["summary"]) == ("refused", True)
    ada, role = face.give_token("ada"), "arn:aws:iam::333333333333:role/other"
    changed = face.read(ada.post("/api/accounts", json={**living, "role_arn": role}))
    assert (changed["role_arn"], changed["kms_key_id"]) == (role, "key")
    face.read(ada.post("/api/accounts", json={**living, "role_arn": role}))
    told = [(event.actor, event.reason) for event in face.ledger.list_events(limit=1000) if not event.environment]
    assert [event for event in told if event[1].startswith("nonproduction:")] == [
        ("operator", "nonproduction: registered"),
        ("ada", f"nonproduction: role_arn - → {role}"),
    ]


def test_the_actor_of_everything_is_the_tokens_name(face: Face) -> None:
    """Nothing that a token asked for has another name in the ledger."""
    ada = face.give_token("ada")
    run = face.read(ada.post("/api/environments", json={"spec": TRY}), 202)
    request = face.ledger.read_request(face.prefect.runs[run["run_id"]].idempotency_key or "")
    assert request is not None
    assert (request.actor, request.operation) == ("ada", Operation.PROVISION)
    assert {event.actor for event in face.ledger.list_events("try")} == {"ada"}
