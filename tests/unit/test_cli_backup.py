"""`terrarium backup` of an environment against an API that answers what the test wrote down."""

from typing import Any

import pytest

from console.cli import run
from tests.unit.test_cli import ScriptedApi, api, golden

__all__ = ["api"]  # the fixture

RUN = golden("run", run_id="run-1", operation="backup", status="succeeded")
BACKUP: dict[str, Any] = {
    "id": "dev-20261124T120000Z", "environment": "dev", "kind": "physical", "location": "s3://vault/b", "sha256": "",
    "size_bytes": 5_000_000, "taken_at": "2026-11-24T12:00:00Z", "run_id": "run-1", "lost_at": None, "verdict": None,
}  # fmt: skip


@pytest.mark.parametrize(("flags", "asked"), [([], {}), (["--kind", "physical"], {"kind": "physical"})])
def test_the_kind_is_asked_for(
    api: ScriptedApi, capsys: pytest.CaptureFixture[str], flags: list[str], asked: dict[str, str]
) -> None:
    """Or left to the environment's file; the list shows it."""
    api.on("POST", "/api/environments/dev/backups", RUN, code=202)
    api.on("GET", "/api/runs/run-1", RUN)
    api.on("GET", "/api/environments/dev/backups", {"environment": "dev", "backups": [BACKUP]})
    assert run(["backup", "take", "dev", *flags]) == 0
    assert ("POST", "/api/environments/dev/backups", asked) in api.calls
    assert "s3://vault/b, 5.0 MB" in capsys.readouterr().out
    assert run(["backup", "list", "dev"]) == 0
    assert "physical" in capsys.readouterr().out
