"""`terrarium evidence verify` and `export` on a real ledger, a real API and the vault of the emulator."""
# ruff: noqa: S608 - the statements are made of the tests' own names

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from blocks.aws import AwsAccount
from blocks.ledger import Ledger
from blocks.ledger.team_tables import approval
from blocks.settings import read_settings
from blocks.vault import list_anchors, put_object
from console.cli import run
from deployments.local.memory import mark_forgotten_objects
from domain.evidence import name_anchor, render_anchor
from domain.status import Operation
from tests.api_face import open_face
from tests.api_server import TOKEN
from tests.integration.conftest import find_free_port
from tests.postgres_server import APP_ROLE, PostgresServer
from tests.told_ledger import AT, CHANGES, tamper

ACCOUNT = "keeper"


@pytest.fixture
def place(
    postgres: PostgresServer,
    told_ledger: Ledger,
    ledger_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:
    """A checkout's state folder whose settings name the told ledger; no Prefect and no API answer."""
    assert told_ledger.read_head()[0] > 20
    monkeypatch.setenv("TERRARIUM_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("TERRARIUM_LEDGER_URL", postgres.url(ledger_database, APP_ROLE))
    monkeypatch.setenv("TERRARIUM_PREFECT_PORT", str(find_free_port()))
    monkeypatch.setenv("TERRARIUM_VAULT_ACCOUNT", ACCOUNT)
    read_settings.cache_clear()
    yield tmp_path
    read_settings.cache_clear()


@pytest.fixture
def vault(place: Path, account: AwsAccount, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsAccount]:
    """A vault whose account Prefect's API tells, as it tells every block."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """The account's block."""
            self.rfile.read(int(self.headers["Content-Length"]))
            data = account.model_dump(mode="json") | {"name": ACCOUNT}
            body = json.dumps([{"name": ACCOUNT, "data": data}]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, args=(0.02,)).start()
    monkeypatch.setenv("TERRARIUM_PREFECT_PORT", str(server.server_address[1]))
    read_settings.cache_clear()
    yield account
    server.shutdown()
    server.server_close()


def verify(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and answer of `evidence verify --json`."""
    capsys.readouterr()
    code = run(["evidence", "verify", *arguments, "--json"])
    return code, dict(json.loads(capsys.readouterr().out))


def keep_anchor(ledger: Ledger, account: AwsAccount) -> str:
    """What the flow `anchor_evidence` does; the address."""
    seq, head_hash = ledger.read_head()
    content = render_anchor(seq, head_hash, AT).encode()
    location = put_object(account, name_anchor("terrarium", seq, head_hash), content)
    assert ledger.add_vault_object("anchor", ACCOUNT, location, "a" * 64, (seq, head_hash), "ada")
    return location


def find_seq(ledger: Ledger, name: str) -> int:
    """The number of a record of a kind."""
    return 4 if name == "event" else next(event.seq for event in ledger.list_events() if event.kind == name)


def test_a_whole_ledger_is_whole(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code 0, without the API; it says that the vault was not asked, and why."""
    code, verdict = verify(capsys)
    assert (code, verdict["is_whole"], verdict["break"]) == (0, True, None)
    assert "production" not in verdict["unchecked"]
    assert ACCOUNT in verdict["unchecked"]


@pytest.mark.parametrize("name", CHANGES)
def test_whatever_is_changed_or_deleted_is_named(
    postgres: PostgresServer, place: Path, told_ledger: Ledger, ledger_database: str, name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Any row of any chained table, events too: its number, its kind and code 1."""
    seq = find_seq(told_ledger, name)
    tamper(postgres, ledger_database, f"UPDATE ledger.{name} SET {CHANGES[name]} WHERE seq = {seq}")
    code, verdict = verify(capsys)
    assert (code, verdict["break"]["seq"], verdict["break"]["fault"]) == (1, seq, "altered")
    assert name in ("event", verdict["break"]["kind"])
    tamper(postgres, ledger_database, f"DELETE FROM ledger.{name} WHERE seq = {seq}")
    code, verdict = verify(capsys)
    assert (code, verdict["break"]["seq"], verdict["break"]["fault"]) == (1, seq, "removed")


@pytest.mark.parametrize("name", ["event", "spec", "step", "approval"])
def test_whatever_is_reordered_is_named(
    postgres: PostgresServer, place: Path, told_ledger: Ledger, ledger_database: str, name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Two rows that take each other's number: the first of them is named, whatever table it is in."""
    told_ledger.add_spec("dev", '{"class":"dev"}', "", "ada")
    told_ledger.begin_run("run-2", "dev", Operation.PLAN, "plan", 1, None, "ada", "host", 1)
    told_ledger.begin_step("run-2", "save_plan", {})
    with told_ledger._append() as chain:
        row = {"plan_id": "p1", "digest": "d", "actor": "eve", "reason": "", "expires_at": AT, "environment": "dev"}
        chain.append(approval, row, environment="dev", actor="eve")
    numbers = [event.seq for event in told_ledger.list_events() if name in ("event", event.kind)]
    first, second = numbers[:2]
    moves = ((first, -1), (second, first), (-1, second))
    statements = [f"UPDATE ledger.{name} SET seq = {new} WHERE seq = {old}" for old, new in moves]
    tamper(postgres, ledger_database, *statements)
    code, verdict = verify(capsys)
    assert (code, verdict["break"]["seq"]) == (1, first)
    assert verdict["break"]["fault"] in ("reordered", "altered")


def test_a_record_without_an_event_is_named(
    postgres: PostgresServer, place: Path, told_ledger: Ledger, ledger_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A forged approval that takes the number of another record, which the application's own role could write."""
    statement = (
        "INSERT INTO ledger.approval SELECT 1, at, plan_id, environment, digest, 'eve', reason, expires_at "
        "FROM ledger.approval"
    )
    postgres.execute(statement, ledger_database)
    code, verdict = verify(capsys)
    assert (code, verdict["break"]["seq"], verdict["break"]["fault"]) == (1, 1, "added")
    assert "approval" in verdict["break"]["detail"]


def test_a_cut_tail_is_named_by_the_vault(
    postgres: PostgresServer, vault: AwsAccount, told_ledger: Ledger, ledger_database: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The newest events with their records: without the vault the rest looks whole, with it the first one is named."""
    keep_anchor(told_ledger, vault)
    assert verify(capsys)[0] == 0
    seq, _ = told_ledger.read_head()
    cut = [f"DELETE FROM ledger.{table} WHERE seq > {seq - 2}" for table in ("event", "loss", "vault_object")]
    tamper(postgres, ledger_database, *cut)
    code, verdict = verify(capsys)
    assert (code, verdict["break"]["seq"], verdict["break"]["fault"]) == (1, seq - 1, "removed")
    assert verdict["anchors"] == 1


def test_a_kept_anchor_does_it_without_a_vault(
    postgres: PostgresServer, place: Path, told_ledger: Ledger, ledger_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Number and hash that a person wrote down are as good."""
    seq, head_hash = told_ledger.read_head()
    tamper(postgres, ledger_database, *(f"DELETE FROM ledger.{table} WHERE seq = {seq}" for table in ("event", "loss")))
    assert verify(capsys)[0] == 0
    code, verdict = verify(capsys, "--anchor", f"{seq}:{head_hash}")
    assert (code, verdict["break"]["seq"]) == (1, seq)
    assert run(["evidence", "verify", "--anchor", "7"]) == 64


def test_an_anchor_that_is_gone_is_named(
    vault: AwsAccount, told_ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Removed from the vault and not marked as lost: code 1. A delete marker over it hides nothing from us."""
    location = keep_anchor(told_ledger, vault)
    key = location.removeprefix(f"s3://{vault.vault_bucket}/")
    s3 = vault.client("s3")
    s3.delete_object(Bucket=vault.vault_bucket, Key=key)
    assert (verify(capsys)[0], len(list_anchors(vault, "terrarium"))) == (0, 1)
    for row in s3.list_object_versions(Bucket=vault.vault_bucket, Prefix=key)["Versions"]:
        s3.delete_object(Bucket=vault.vault_bucket, Key=key, VersionId=row["VersionId"], BypassGovernanceRetention=True)
    code, verdict = verify(capsys)
    assert (code, verdict["missing"], verdict["break"]) == (1, [location], None)
    assert run(["evidence", "verify"]) == 1
    assert location in capsys.readouterr().out


def test_what_the_emulator_forgot_is_lost_in_the_ledger(
    vault: AwsAccount, told_ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """Marked once, named as lost, and no finding any more; what is still there stays as it is."""
    kept = keep_anchor(told_ledger, vault)
    told_ledger.add_vault_object("backup", ACCOUNT, "s3://gone/manifest.json", "b" * 64, (3, "c" * 64), "ada")
    accounts = {ACCOUNT: vault}
    assert [row.location for row in mark_forgotten_objects(told_ledger, accounts.get)] == ["s3://gone/manifest.json"]
    assert mark_forgotten_objects(told_ledger, accounts.get) == []
    lost = {row.location: row.lost_at for row in told_ledger.list_vault_objects()}
    assert (lost[kept], lost["s3://gone/manifest.json"] is None) == (None, False)
    assert verify(capsys)[0] == 0


def test_an_export_is_checked_elsewhere(
    place: Path, told_ledger: Ledger, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the API into a file that only its user can read; there every line counts, and no server is needed."""
    file = place / "evidence.jsonl"
    with open_face(told_ledger) as face:
        (place / "token").write_text(TOKEN + "\n")
        (place / "stack.json").write_text(json.dumps({"api_url": str(face.client.base_url)}))
        assert run(["evidence", "export", str(file), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["verdict"]["is_whole"], answer["verdict"]["events"]) == (True, told_ledger.read_head()[0])
    assert file.stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("TERRARIUM_LEDGER_URL", "")
    assert verify(capsys, str(file))[0] == 0
    lines = file.read_text().splitlines(keepends=True)
    for number in range(1, len(lines)):
        changed = [
            line.replace('"actor":"ada"', '"actor":"eve"') if n == number else line for n, line in enumerate(lines)
        ]
        for tampered in ([*lines[:number], *lines[number + 1 :]], changed):
            if tampered != lines:
                file.write_text("".join(tampered))
                code, verdict = verify(capsys, str(file))
                assert (code, verdict["break"]["seq"]) == (1, number), tampered[number - 1 : number + 1]


def test_anchoring_is_asked_of_the_api(told_ledger: Ledger) -> None:
    """202 with a queued run; the ledger knows who asked."""
    with open_face(told_ledger) as face:
        answer = face.post("/api/evidence/anchor")
        assert (answer["operation"], answer["status"]) == ("anchor", "queued")
        request = told_ledger.read_request(face.prefect.runs[answer["run_id"]].idempotency_key or "")
        assert request is not None
        assert (request.operation, request.actor) == ("anchor", "operator")


def test_an_export_that_fails_leaves_the_file_as_it_was(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No API: code 1; a folder that is not there: usage; what was in the file stays."""
    file = place / "evidence.jsonl"
    file.write_text("older")
    (place / "token").write_text(TOKEN + "\n")
    (place / "stack.json").write_text(json.dumps({"api_url": f"http://127.0.0.1:{find_free_port()}"}))
    assert run(["evidence", "export", str(file)]) == 1
    assert "does not answer" in capsys.readouterr().err
    assert run(["evidence", "export", str(place / "nowhere" / "file")]) == 64
    assert (file.read_text(), sorted(one.name for one in place.glob("evidence*"))) == ("older", ["evidence.jsonl"])
