"""One suite for every backend of secrets, and then what is each one's own."""

import json
import os
import traceback
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hvac import Client
from pydantic import SecretStr

from blocks.aws import AwsAccount
from blocks.secrets import MissingSecretError, SecretsManager, SecretStore, Vault, read_expiry
from domain.errors import PermanentError, TemporaryError
from tests.certificates import make_certificate
from tests.integration.conftest import REGION, find_free_port, open_account
from tests.vault_server import VaultServer

BACKENDS = ("vault", "secrets-manager")


@pytest.fixture
def vault(vault_server: VaultServer, tmp_path: Path) -> Vault:
    """A block that logs in with the root token, from a file."""
    token = tmp_path / "token"
    token.write_text(vault_server.root_token + "\n")
    return Vault(address=vault_server.address, credential_file=str(token))


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest) -> SecretStore:
    """Each backend in turn."""
    if request.param == "vault":
        opened: Vault = request.getfixturevalue("vault")
        return opened
    return SecretsManager(request.getfixturevalue("account"), REGION)


@pytest.fixture
def path() -> str:
    """A path that nothing is under."""
    return f"travelblog/test-{uuid.uuid4().hex[:10]}/key"


def text(store: SecretStore, path: str, version: str | None = None) -> str:
    """The value itself."""
    return store.read_value(path, version).get_secret_value()


def test_what_is_written_is_read(store: SecretStore, path: str) -> None:
    """Any text: with quotes, line feeds, JSON, and more than one script."""
    for value in ("plain", 'a "b"\nc\t', json.dumps({"user": "x", "password": "y"}), "pässwörd ✓"):
        version = store.write_value(path, SecretStr(value))
        assert (text(store, path), text(store, path, version)) == (value, value)


def test_versions_are_kept_and_staged(store: SecretStore, path: str) -> None:
    """Newest first; the current and the previous one are found by these words as well as by their names."""
    names = [store.write_value(path, SecretStr(f"value {number}")) for number in range(3)]
    found = store.find_metadata(path)
    assert found is not None
    versions = {version.version: version.stages for version in found.versions}
    assert next(iter(versions)) == names[2]
    assert versions == {names[2]: ("current",), names[1]: ("previous",), names[0]: ()}
    assert text(store, path, "current") == "value 2"
    assert text(store, path, "previous") == "value 1"
    assert text(store, path, names[0]) == "value 0"


def test_metadata_tells_times_and_no_value(store: SecretStore, path: str) -> None:
    """Backend, path and times in UTC; the value is nowhere in it."""
    before = datetime.now(UTC) - timedelta(seconds=2)
    store.write_value(path, SecretStr("hunter2"))
    found = store.find_metadata(path)
    assert found is not None
    assert (found.backend, found.path) == (store.backend, path)
    assert found.created_at is not None
    assert before < found.created_at < datetime.now(UTC) + timedelta(seconds=2)
    assert all(version.created_at and version.is_readable for version in found.versions)
    assert "hunter2" not in found.model_dump_json()


def test_what_is_missing_is_told_by_path_and_version(store: SecretStore, path: str) -> None:
    """A path with nothing under it, and a version or stage that never was."""
    assert store.find_metadata(path) is None
    with pytest.raises(MissingSecretError, match=path):
        store.read_value(path)
    store.write_value(path, SecretStr("hunter2"))
    for version in ("9999", "previous", str(uuid.uuid4())):
        with pytest.raises(MissingSecretError, match=f"version {version} of {path}"):
            store.read_value(path, version)


def test_a_deleted_secret_is_missing_until_it_is_written_again(store: SecretStore, path: str) -> None:
    """Deleting twice is deleting once, and the path is not lost."""
    store.write_value(path, SecretStr("old"))
    store.delete_secret(path)
    store.delete_secret(path)
    found = store.find_metadata(path)
    version = found.find_version(None) if found else None
    assert version is None or not version.is_readable
    with pytest.raises(MissingSecretError, match=path):
        store.read_value(path)
    store.write_value(path, SecretStr("new"))
    assert text(store, path) == "new"


def test_deleting_nothing_is_no_error(store: SecretStore, path: str) -> None:
    """What is gone is gone."""
    store.delete_secret(path)
    assert store.find_metadata(path) is None


def test_the_end_of_a_certificate_is_read(store: SecretStore, path: str) -> None:
    """Beside its key in one secret, as JSON; a secret without a certificate has no end."""
    expires_at = (datetime.now(UTC) + timedelta(days=20)).replace(microsecond=0)
    store.write_value(path, SecretStr(json.dumps({"certificate": make_certificate("web", expires_at), "key": "k"})))
    assert read_expiry(store, path) == expires_at
    store.write_value(path, SecretStr("no certificate"))
    assert read_expiry(store, path) is None


def test_a_value_is_read_in_its_envelope(store: SecretStore, path: str) -> None:
    """Written into a text by mistake it shows stars."""
    store.write_value(path, SecretStr("hunter2"))
    assert "hunter2" not in f"{store.read_value(path)!r}{store.read_value(path)}{store!r}"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_write_that_fails_does_not_repeat_the_value(backend: str, tmp_path: Path, path: str) -> None:
    """Neither the error nor the traceback that Prefect keeps of it, with all that led to it."""
    (tmp_path / "token").write_text("t")
    value, address = uuid.uuid4().hex, f"http://127.0.0.1:{find_free_port()}"
    away: SecretStore = SecretsManager(open_account(address, "1" * 12).model_copy(update={"role_arn": ""}), REGION)
    if backend == "vault":
        away = Vault(address=address, credential_file=str(tmp_path / "token"))
    with pytest.raises(TemporaryError, match=f"writing {path}") as caught:
        away.write_value(path, SecretStr(value))
    assert value not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_is_away_is_waited_for(tmp_path: Path) -> None:
    """Nobody listens: the error is temporary, and names address and path."""
    (tmp_path / "token").write_text("t")
    address = f"http://127.0.0.1:{find_free_port()}"
    with pytest.raises(TemporaryError, match=f"{address}: looking for a/b failed: no answer"):
        Vault(address=address, credential_file=str(tmp_path / "token")).find_metadata("a/b")


def test_a_refused_credential_waits_for_a_person(vault: Vault, tmp_path: Path) -> None:
    """A wrong token is told as such, and is not in the text."""
    (tmp_path / "token").write_text("s.hunter2")
    with pytest.raises(PermanentError, match="answered Forbidden") as caught:
        vault.find_metadata("a/b")
    assert "hunter2" not in str(caught.value)


def test_a_missing_credential_names_its_place(vault_server: VaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its variable a process asks nobody, and takes no other token that it could find."""
    monkeypatch.setenv("VAULT_TOKEN", vault_server.root_token)
    monkeypatch.delenv("OUR_TOKEN", raising=False)
    vault = Vault(address=vault_server.address, credential_variable="OUR_TOKEN")
    with pytest.raises(PermanentError, match="no credential in the variable OUR_TOKEN"):
        vault.find_metadata("a/b")
    monkeypatch.setenv("OUR_TOKEN", "wrong")
    with pytest.raises(PermanentError, match="Forbidden"):
        vault.find_metadata("a/b")


def test_a_role_that_reads_metadata_reads_no_value(vault: Vault, vault_server: VaultServer, path: str) -> None:
    """What a plan needs is less than what a rotation needs: the policy decides, and the check works under it."""
    vault.write_value(path, SecretStr("hunter2"))
    client = Client(url=vault_server.address, token=vault_server.root_token, cert=())
    client.sys.create_or_update_policy("metadata", 'path "secret/metadata/*" { capabilities = ["read"] }')
    if "approle/" not in client.sys.list_auth_methods()["data"]:
        client.sys.enable_auth_method("approle")
    client.auth.approle.create_or_update_approle("reader", token_policies=["metadata"])
    secret_id = Path(vault.credential_file).with_name("secret-id")
    secret_id.write_text(client.auth.approle.generate_secret_id("reader")["data"]["secret_id"])
    role_id = client.auth.approle.read_role_id("reader")["data"]["role_id"]
    reader = Vault(address=vault_server.address, role_id=role_id, credential_file=str(secret_id))
    assert reader.find_metadata(path) is not None
    with pytest.raises(PermanentError, match="Forbidden"):
        reader.read_value(path)


def test_an_entry_with_several_keys_is_read_as_json(vault: Vault, vault_server: VaultServer, path: str) -> None:
    """What somebody wrote with `vault kv put` and keys of their own is one text for us."""
    client = Client(url=vault_server.address, token=vault_server.root_token, cert=())
    client.secrets.kv.v2.create_or_update_secret(path, {"user": "a", "password": "b"}, mount_point="secret")
    assert json.loads(text(vault, path)) == {"user": "a", "password": "b"}


def test_a_destroyed_version_is_not_readable(vault: Vault, vault_server: VaultServer, path: str) -> None:
    """The versions around it are, and the previous one is the newest of those."""
    for number in range(3):
        vault.write_value(path, SecretStr(str(number)))
    client = Client(url=vault_server.address, token=vault_server.root_token, cert=())
    client.secrets.kv.v2.destroy_secret_versions(path, [2], mount_point="secret")
    found = vault.find_metadata(path)
    assert found is not None
    assert [(it.version, it.is_readable) for it in found.versions] == [("3", True), ("2", False), ("1", True)]
    assert text(vault, path, "previous") == "0"


def test_a_path_that_climbs_is_not_asked_for(vault: Vault) -> None:
    """`..` would be another address of Vault's API."""
    with pytest.raises(PermanentError, match="is no path of a secret"):
        vault.find_metadata("a/../../../sys/seal-status")


def test_a_secret_without_a_value_has_no_version(account: AwsAccount, path: str) -> None:
    """As the environment's own secrets are made: empty, until a person puts the value in."""
    account.client("secretsmanager").create_secret(Name=path)
    found = SecretsManager(account, REGION).find_metadata(path)
    assert found is not None
    assert found.find_version(None) is None
    with pytest.raises(MissingSecretError, match=path):
        SecretsManager(account, REGION).read_value(path)


def test_a_vault_block_holds_no_credential(vault: Vault) -> None:
    """What Prefect stores says where the token is, and never what it is."""
    token = Path(vault.credential_file).read_text().strip()
    assert token not in json.dumps(vault.model_dump(mode="json"))
    with pytest.raises(ValueError, match="credential_file or credential_variable"):
        Vault(address=vault.address)
    assert os.environ.get("VAULT_TOKEN") is None
