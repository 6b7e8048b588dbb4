"""Tokens, approvals, holds and accounts on the command line: what is sent, what is printed, and the exit codes."""

import json
from pathlib import Path

import pytest

from blocks.settings import read_settings
from console.cli import run
from tests.unit.test_cli import TOKEN, ScriptedApi, api, golden

__all__ = ["api"]  # the fixture


def test_a_token_is_printed_alone(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """stdout can go into a file; the warning goes to stderr."""
    api.on("POST", "/api/tokens", golden("new_token"), code=201)
    assert run(["token", "create", "ada", "--role", "operator", "--expires", "90d"]) == 0
    streams = capsys.readouterr()
    assert (streams.out, "shown once" in streams.err) == ("shown-once\n", True)
    assert api.calls[-1][2] == {"name": "ada", "role": "operator", "expires": "90d"}
    assert run(["token", "create", "ada", "--role", "king"]) == 64


def test_tokens_are_listed_and_revoked(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """The list has no value; a revocation tells since when."""
    api.on("GET", "/api/tokens", golden("tokens"))
    assert run(["token", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:2] == ["ada", "operator"]
    api.on("DELETE", "/api/tokens/ada", {**golden("tokens")["tokens"][0], "revoked_at": "2026-03-01T12:00:00Z"})
    assert run(["token", "revoke", "ada"]) == 0
    assert "ada is revoked since 2026-03-01" in capsys.readouterr().out


def test_an_approval_shows_what_was_approved(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """The changes on stderr, the approval on stdout, and the command that goes on; a reason has to be given."""
    api.on("POST", "/api/plans/9f2c41d08a7b/approve", golden("plan"))
    assert run(["approve", "9f2c41d08a7b", "--reason", "resize"]) == 0
    streams = capsys.readouterr()
    assert "Plan 9f2c41d08a7b of production is approved until" in streams.out
    assert "aws_sqs_queue.main" in streams.err
    assert "terrarium env apply production --plan 9f2c41d08a7b" in streams.err
    assert api.calls[-1][2] == {"reason": "resize"}
    assert run(["approve", "9f2c41d08a7b"]) == 64


def test_a_role_that_is_too_small_ends_with_two(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """403 is a rule that said no."""
    error = {"kind": "forbidden", "summary": "Too small.", "resolution": "Ask.", "faults": []}
    api.on("POST", "/api/plans/p/approve", {"error": error, "run": None}, code=403)
    assert run(["approve", "p", "--reason", "x"]) == 2
    assert "Too small." in capsys.readouterr().err


def test_a_hold_is_put_shown_and_ended(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """`env show` tells who holds an environment, why and until when."""
    api.on("POST", "/api/environments/staging/hold", golden("hold"))
    assert run(["hold", "staging", "--reason", "incident 12", "--for", "2h"]) == 0
    assert api.calls[-1][2] == {"reason": "incident 12", "duration": "2h"}
    api.on("GET", "/api/environments/staging", golden("environment"))
    assert run(["env", "show", "staging"]) == 0
    assert "ada until 2026-03-01T12:00:00Z: incident 12" in capsys.readouterr().out
    api.on("DELETE", "/api/environments/staging/hold", golden("hold"))
    assert run(["unhold", "staging"]) == 0
    assert "staging is free again; ada held it: incident 12" in capsys.readouterr().out


def test_a_run_that_waits_tells_how_it_goes_on(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """The time is over: code 4, with the command that somebody else has to give."""
    way = "It goes on when somebody other than admin does `terrarium approve 9f2c --reason …`."
    waiting = golden("run", status="waiting", operation="provision", finished_at=None, plan_id="9f2c", resolution=way)
    api.on("POST", "/api/environments", waiting, code=202)
    api.on("GET", f"/api/runs/{waiting['run_id']}", waiting)
    assert run(["env", "apply", "dev", "--yes", "--timeout", "0.2"]) == 4
    streams = capsys.readouterr()
    assert f"waiting. {way}" in streams.err
    assert way in streams.out


def test_accounts_are_listed_added_and_checked(api: ScriptedApi, capsys: pytest.CaptureFixture[str]) -> None:
    """Buckets have the names of the bootstrap where none are given; a check that finds something ends with three."""
    api.on("GET", "/api/accounts", golden("accounts"))
    assert run(["account", "list"]) == 0
    assert "111111111111" in capsys.readouterr().out
    api.on("POST", "/api/accounts", golden("accounts")["accounts"][0])
    assert run(["account", "add", "b", "--id", "3" * 12, "--region", "eu-central-1", "--kind", "aws"]) == 0
    sent = api.calls[-1][2]
    assert (sent["state_bucket"], sent["endpoint_url"]) == ("terrarium-state-333333333333-eu-central-1", None)
    api.on("POST", "/api/accounts/nonproduction/check", golden("account_check"))
    assert run(["account", "check", "nonproduction"]) == 0
    api.on("POST", "/api/accounts/nonproduction/check", golden("account_check", ok=False, resolution="Bootstrap it."))
    assert run(["account", "check", "nonproduction"]) == 3
    assert "Bootstrap it." in capsys.readouterr().out


def test_another_token_is_named_by_a_setting(
    api: ScriptedApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """TERRARIUM_TOKEN_FILE goes before the token of `make up`; one that is not there is told."""
    (tmp_path / "token").write_text("another, which the API does not know")
    (tmp_path / "ada.token").write_text(TOKEN)
    monkeypatch.setenv("TERRARIUM_TOKEN_FILE", str(tmp_path / "ada.token"))
    read_settings.cache_clear()
    api.on("GET", "/api/tokens", golden("tokens"))
    assert run(["token", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == golden("tokens")
    (tmp_path / "ada.token").unlink()
    assert run(["token", "list"]) == 1
    assert "TERRARIUM_TOKEN_FILE" in capsys.readouterr().err
