"""Secrets that an environment refers to: what their backend tells of them without a value, and what is wrong with one.

A reference is external where somebody else keeps the secret. What the environment makes itself is not: before the first
apply it is missing, and rightly so. Invariant: nothing here ever holds a value.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from domain.errors import PermanentError
from domain.spec import EnvironmentSpec
from domain.spec_parts import SecretReference

#: The words of AWS Secrets Manager, in small letters; they hold for every backend.
CURRENT, PREVIOUS, PENDING = "current", "previous", "pending"
#: What a person types to write a secret, by backend.
WRITE_COMMANDS = {
    "vault": "`vault kv put -mount=secret PATH value=-`",
    "secrets-manager": "`aws secretsmanager put-secret-value --secret-id PATH --secret-string file:///dev/stdin`",
}


class SecretVersion(BaseModel):
    """One version of a secret, by its backend's name for it, with the stages that it is in."""

    model_config = ConfigDict(frozen=True)

    version: str
    created_at: datetime | None
    stages: tuple[str, ...] = ()
    is_readable: bool = True


class SecretMetadata(BaseModel):
    """What a backend tells of a secret without its value. Versions are sorted, newest first."""

    model_config = ConfigDict(frozen=True)

    backend: str
    path: str
    created_at: datetime | None
    changed_at: datetime | None
    versions: tuple[SecretVersion, ...]
    labels: dict[str, str] = {}

    def find_version(self, wanted: str | None) -> SecretVersion | None:
        """The version of that name or in that stage (`current` where none is named); None where there is none."""
        word = wanted or CURRENT
        return next((one for one in self.versions if word == one.version or word in one.stages), None)


def list_external(spec: EnvironmentSpec) -> dict[str, SecretReference]:
    """The references to what somebody else keeps, by name: those must be there before a plan.

    A path below `terrarium/NAME/` is the environment's own: its database's password, for example.
    """
    own = f"terrarium/{spec.name}/"
    return {
        name: reference
        for name, reference in sorted(spec.secrets.items())
        if reference.backend != "environment"
        and not (reference.backend == "secrets-manager" and (reference.path or "").startswith(own))
    }


def list_unconnected(spec: EnvironmentSpec, connected: Collection[str]) -> dict[str, SecretReference]:
    """The external references whose backend this control plane has no connection to."""
    return {name: it for name, it in list_external(spec).items() if it.backend not in connected}


def refuse_unconnected(spec: EnvironmentSpec, connected: Collection[str]) -> None:
    """PermanentError where a reference cannot be looked up, because its backend is not connected."""
    if missing := list_unconnected(spec, connected):
        backends = ", ".join(sorted({reference.backend for reference in missing.values()}))
        raise PermanentError(
            f"{spec.name}: {_name_all(missing)} cannot be looked up, because no {backends} is connected.",
            f"Save a Terrarium Vault block named {spec.account} or default in Prefect (docs/security.md), and run it "
            "again.",
        )


def refuse_missing(spec: EnvironmentSpec, found: Mapping[str, SecretMetadata | None]) -> None:
    """PermanentError that names every reference in `found` whose secret, or whose version of it, is not there."""
    external = list_external(spec)
    faults = [f"{_name(name, external[name])} {fault}" for name, fault in _list_faults(external, found)]
    if faults:
        backends = sorted({external[name].backend for name, _ in _list_faults(external, found)})
        ways = " or ".join(WRITE_COMMANDS[backend] for backend in backends)
        raise PermanentError(
            f"{spec.name}: secrets that it refers to cannot be read: {'; '.join(faults)}.",
            f"Write them ({ways}), or correct `secrets` in the environment's file; then run it again. "
            "Nothing was planned or changed.",
        )


def _list_faults(
    external: Mapping[str, SecretReference], found: Mapping[str, SecretMetadata | None]
) -> Iterator[tuple[str, str]]:
    for name, metadata in found.items():
        if fault := find_fault(external[name], metadata):
            yield name, fault


def find_fault(reference: SecretReference, metadata: SecretMetadata | None) -> str:
    """Why a reference cannot be read, as the end of a sentence; "" where it can."""
    if metadata is None:
        return "is not there"
    version = metadata.find_version(reference.version)
    if version is None and reference.version is None:
        return "has no value yet"
    if version is None:
        known = ", ".join(one.version for one in metadata.versions[:10]) or "none"
        return f"has no such version (it has {known})"
    return "" if version.is_readable else "was deleted"


def _name_all(references: Mapping[str, SecretReference]) -> str:
    return ", ".join(_name(name, reference) for name, reference in references.items())


def _name(name: str, reference: SecretReference) -> str:
    """Secret, backend, path and version, as a person finds them in the file."""
    version = f"version {reference.version}" if reference.version else "newest version"
    return f"secret {name} ({reference.backend}, {reference.path}, {version})"
