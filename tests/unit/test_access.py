"""Who may do what: roles, tokens, and the table of the API's addresses."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from blocks.settings import Settings
from console.access import LEAST_ROLE, OPEN_PATHS, list_roles
from console.api import create_app
from console.sources import Sources
from domain.access import RESERVED, Caller, Credential, Role, hash_token, identify, refuse_name, refuse_role
from domain.errors import RefusedError
from tests.fakes import FakePrefect

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA = Credential(name="ada", role=Role.OPERATOR, expires_at=NOW + timedelta(hours=1))


def test_each_role_may_do_what_the_ones_before_it_may() -> None:
    """The order is the promise: viewer, developer, operator, security officer, administrator."""
    assert [role.value for role in Role] == ["viewer", "developer", "operator", "security_officer", "administrator"]
    assert all(higher.includes(lower) and not lower.includes(higher) for lower, higher in pairwise(Role))
    assert all(role.includes(role) for role in Role)


def test_a_token_counts_until_it_ends_or_is_revoked() -> None:
    """Unknown, revoked and over are nobody; the last moment before the end still counts."""
    assert identify(ADA, NOW) == Caller(name="ada", role=Role.OPERATOR)
    assert identify(ADA, NOW + timedelta(minutes=59)) is not None
    assert identify(ADA, NOW + timedelta(hours=1)) is None
    assert identify(ADA.model_copy(update={"revoked_at": NOW}), NOW) is None
    assert identify(ADA.model_copy(update={"expires_at": None}), NOW + timedelta(days=9999)) is not None
    assert identify(None, NOW) is None


def test_a_role_that_is_too_small_is_told_both_roles() -> None:
    """The message names the token, what it has and what it would need."""
    with pytest.raises(RefusedError, match="token ada has the role viewer; this needs operator or more"):
        refuse_role(Caller(name="ada", role=Role.VIEWER), Role.OPERATOR)
    refuse_role(Caller(name="ada", role=Role.ADMINISTRATOR), Role.OPERATOR)


@pytest.mark.parametrize("name", ["", "Ada", "a b", "-a", "a-", "a--b", "9a", "a" * 41, "a\n", *sorted(RESERVED)])
def test_a_name_that_events_could_not_tell_apart_is_refused(name: str) -> None:
    """No name of an actor that is no token, and nothing that reads like another name."""
    with pytest.raises(RefusedError):
        refuse_name(name)


def test_names_of_people_and_of_machines_are_taken() -> None:
    """Small letters, digits and hyphens."""
    for name in ("ada", "ci-7", "a" * 40):
        refuse_name(name)


def test_a_token_is_kept_as_its_hash() -> None:
    """Sha256, in hexadecimal digits."""
    assert hash_token("x") == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


def test_every_route_has_its_role() -> None:
    """Deny by default: a route without an entry fails here, and an entry without a route too."""
    app = create_app(Sources(None, FakePrefect(), FakePrefect(), "", Path()), Settings())
    contexts = list(iter_route_contexts(app.routes))
    found = {
        (method, context.path)
        for context in contexts
        if isinstance(context.original_route, APIRoute)
        for method in context.original_route.methods or ()
    }
    others = {context.path for context in contexts if not isinstance(context.original_route, APIRoute)}
    assert others == {"/openapi.json"}
    assert len(found) > 20
    assert {(method, path) for method, path in found if path not in OPEN_PATHS} == set(LEAST_ROLE)


def test_an_address_is_found_by_its_pattern() -> None:
    """A name fills a placeholder, a slash does not; what is not in the table is nowhere."""
    assert list_roles("/api/environments/dev") == {"GET": Role.VIEWER, "DELETE": Role.OPERATOR}
    assert list_roles("/api/environments/dev/diff/staging") == {"GET": Role.VIEWER}
    assert list_roles("/api/environments/dev/other") == list_roles("/docs") == {}


def test_who_changes_something_is_no_viewer() -> None:
    """A viewer only reads, and only administrators say who may do what."""
    for (method, path), role in LEAST_ROLE.items():
        assert (role is not Role.VIEWER) or method == "GET", path
        assert re.match("/api/tokens", path) is None or role.includes(Role.SECURITY_OFFICER)
    assert LEAST_ROLE["POST", "/api/tokens"] is Role.ADMINISTRATOR
