"""Secrets by reference: which must be there before a plan, what is wrong with one, and when a certificate ends."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from blocks.environment_files import read_declared
from deployments.local.vault import EXAMPLES
from domain.certificate import find_expiry, read_certificates
from domain.errors import PermanentError
from domain.secret import (
    SecretMetadata,
    SecretVersion,
    find_fault,
    list_external,
    list_unconnected,
    refuse_missing,
    refuse_unconnected,
)
from domain.spec import EnvironmentSpec
from domain.spec_parts import SecretReference
from tests.certificates import make_certificate

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def spec_with(secrets: dict[str, dict[str, str]]) -> EnvironmentSpec:
    """The shipped sandbox with these secrets."""
    base = json.loads(read_declared("sandbox")[1].canonical_json())
    return EnvironmentSpec.model_validate_json(json.dumps(base | {"secrets": secrets}))


def metadata(*versions: SecretVersion) -> SecretMetadata:
    """A secret with these versions, newest first."""
    return SecretMetadata(backend="vault", path="a/b", created_at=NOW, changed_at=NOW, versions=versions)


V1 = SecretVersion(version="1", created_at=NOW, stages=("previous",))
V2 = SecretVersion(version="2", created_at=NOW, stages=("current",))
GONE = SecretVersion(version="2", created_at=NOW, stages=("current",), is_readable=False)


def test_only_what_others_keep_is_external() -> None:
    """What the environment makes, by name or by its own path, is not there before the first apply."""
    spec = spec_with(
        {
            "made": {"backend": "environment"},
            "own": {"backend": "secrets-manager", "path": "terrarium/sandbox/database-g1"},
            "of-staging": {"backend": "secrets-manager", "path": "terrarium/staging/database-g1"},
            "kept": {"backend": "vault", "path": "terrarium/sandbox/key"},
        }
    )
    assert list(list_external(spec)) == ["kept", "of-staging"]
    assert list(list_unconnected(spec, ["secrets-manager"])) == ["kept"]


@pytest.mark.parametrize(
    ("version", "found", "fault"),
    [
        (None, None, "is not there"),
        (None, metadata(), "has no value yet"),
        (None, metadata(V2, V1), ""),
        ("1", metadata(V2, V1), ""),
        ("previous", metadata(V2, V1), ""),
        ("3", metadata(V2, V1), "has no such version (it has 2, 1)"),
        (None, metadata(GONE, V1), "was deleted"),
        ("1", metadata(GONE, V1), ""),
    ],
)
def test_a_fault_is_named(version: str | None, found: SecretMetadata | None, fault: str) -> None:
    """The newest version is asked for where none is named; one that was deleted is not there."""
    reference = SecretReference(backend="vault", path="a/b", version=version)
    assert find_fault(reference, found) == fault


def test_a_missing_secret_is_told_with_all_that_finds_it() -> None:
    """Environment, secret, backend, path, version and the way out: every fault at once, and no more."""
    spec = spec_with(
        {
            "payment": {"backend": "vault", "path": "shop/payment", "version": "7"},
            "mail": {"backend": "secrets-manager", "path": "shop/mail"},
            "there": {"backend": "vault", "path": "shop/there"},
        }
    )
    with pytest.raises(PermanentError) as caught:
        refuse_missing(spec, {"payment": metadata(V2), "mail": None, "there": metadata(V2)})
    assert caught.value.summary == (
        "sandbox: secrets that it refers to cannot be read: "
        "secret payment (vault, shop/payment, version 7) has no such version (it has 2); "
        "secret mail (secrets-manager, shop/mail, newest version) is not there."
    )
    assert "vault kv put" in caught.value.resolution
    assert "aws secretsmanager" in caught.value.resolution


def test_a_backend_that_is_not_connected_is_named() -> None:
    """The error says which secret, and which block to save."""
    spec = spec_with({"payment": {"backend": "vault", "path": "shop/payment"}})
    with pytest.raises(PermanentError, match=r"sandbox: secret payment \(vault, .*no vault is connected"):
        refuse_unconnected(spec, ["secrets-manager"])
    refuse_unconnected(spec, ["secrets-manager", "vault"])


def test_a_path_cannot_leave_its_place() -> None:
    """`..` would reach another address of the backend."""
    for path in ("a/../../sys/seal", "a//b", "/a"):
        with pytest.raises(ValueError, match="path"):
            spec_with({"x": {"backend": "vault", "path": path}})


def test_the_examples_are_what_the_shipped_files_refer_to() -> None:
    """`make up` draws these for the local Vault, and no others."""
    shipped = [list_external(read_declared(name)[1]) for name in ("dev", "sandbox", "staging", "production")]
    assert {it.path for references in shipped for it in references.values()} == set(EXAMPLES)


def test_certificates_are_found_in_a_text_and_in_json() -> None:
    """A chain ends with the first that ends; JSON writes line feeds as two signs."""
    first, second = NOW + timedelta(days=30), NOW + timedelta(days=90)
    chain = make_certificate("web", second) + make_certificate("issuer", first)
    for text in (chain, json.dumps({"tls.crt": chain, "tls.key": "x"}), f"before\n{chain}after"):
        found = read_certificates(text)
        assert [certificate.subject for certificate in found] == ["CN=web", "CN=issuer"]
        assert find_expiry(found) == first
    assert find_expiry(read_certificates("no certificate")) is None


def test_a_broken_certificate_is_not_repeated() -> None:
    """The error has no word of the secret."""
    with pytest.raises(PermanentError) as caught:
        read_certificates("-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----")
    assert "hunter2" not in str(caught.value)
