"""Secrets are driven through every flow, also where it fails, and looked for everywhere; a leak on purpose is found."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from hvac import Client
from pydantic import SecretStr

from blocks.ledger import RunRow
from blocks.secrets import SecretsManager
from deployments.local.layout import Layout
from deployments.local.vault import read_root_token
from tests.canary import Hit, Places
from tests.flow_world import World
from tests.polling import wait_for

#: Every kind of place that a flow can write to, and so a leak must be found in.
LEAKY = {
    "API answers",
    "Prefect's database",
    "ledger",
    "log files",
    "results",
    "saved plans",
    "state and vault buckets",
}
NETWORKED = {"cloud": "aws", "network": {"zones": 2, "nat_gateways": 0}, "services": {}}
DATABASE = {"database": {"version": "16", "backup_retention_days": 1}, "queue": {}}
FREE = {"teardown": "allowed", "deletion_limit": 200, "final_snapshot": False, "keep_media": False}


KINDS = ("in Vault", "in Secrets Manager", "session key", "next database password", "read by a flow", "sent to the API")


def draw() -> str:
    """A secret that is nowhere by accident."""
    return f"canary{uuid.uuid4().hex}"


@dataclass
class Driven:
    """What was driven through the flows: the secrets by name, the runs by what they were, and where to look."""

    places: Places
    leaky: str
    secrets: dict[str, str] = field(default_factory=dict)
    runs: dict[str, RunRow] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)


def write_vault(world: World, path: str, value: str) -> None:
    """As a person with rights of their own does: a flow's role cannot."""
    settings = world.stack.settings
    client = Client(url=settings.vault_url, token=read_root_token(settings), cert=())
    client.secrets.kv.v2.create_or_update_secret(path, {"value": value}, mount_point="secret")


@pytest.fixture(scope="module")
def driven(openbao: Path, world: World) -> Driven:
    """Every flow, well and badly ended, on AWS's stack with a database; a secret in each place that keeps one."""
    assert openbao
    name, leaky = (f"c-{uuid.uuid4().hex[:10]}" for _ in range(2))
    log = world.process._log
    told = Driven(Places(world.stack, world.account, (name, leaky), (log.parent,)), leaky)
    store = SecretsManager(world.account, "eu-central-1")
    told.secrets = {kind: draw() for kind in KINDS}
    write_vault(world, f"canary/{name}", told.secrets["in Vault"])
    store.write_value(f"canary/{name}", SecretStr(told.secrets["in Secrets Manager"]))
    references = {
        "payment-key": {"backend": "vault", "path": f"canary/{name}"},
        "mail-key": {"backend": "secrets-manager", "path": f"canary/{name}"},
    }
    own = {"session-key": {"backend": "environment"}}
    wanted = NETWORKED | {"data": DATABASE, "protection": FREE, "secrets": references | own}
    version = world.add_spec(name, **wanted)
    told.runs["plan"] = world.run("plan", name, version)
    with world.faults.order(name, "apply_infrastructure", "end"):
        told.runs["provision that fails"] = world.run("provision", name, version)
    told.secrets["database password"] = store.read_value(f"terrarium/{name}/database-g1").get_secret_value()
    store.write_value(f"terrarium/{name}/session-key-g1", SecretStr(told.secrets["session key"]))
    told.runs["provision"] = world.run("provision", name, version)
    store.write_value(f"terrarium/{name}/database-g1", SecretStr(told.secrets["next database password"]))
    world.expire()
    world.sweep()
    assert world.process.ask("run", "anchor", {"account": world.account.name}, None)["state"] == "COMPLETED"
    told.runs["plan again"] = world.run("plan", name, version)
    missing = {"payment-key": {"backend": "vault", "path": f"canary/{name}", "version": "99"}}
    without = world.add_spec(name, **wanted | {"secrets": missing | own})
    told.runs["plan without a secret"] = world.run("plan", name, without)
    told.runs["provision without a secret"] = world.run("provision", name, without)
    with world.faults.order(name, "destroy_infrastructure", "end"):
        told.runs["teardown that fails"] = world.run("teardown", name)
    told.runs["teardown"] = world.run("teardown", name)
    told.answers += send_a_value(world, name, told.secrets["sent to the API"])
    told.runs["error with a secret"] = run_with_secret(world, leaky, "hide secret", told.secrets["read by a flow"])
    return told


def run_with_secret(world: World, name: str, word: str, value: str) -> RunRow:
    """A flow that reads this value and fails with it."""
    path = f"canary/{name}-{word.partition(' ')[0]}"
    SecretsManager(world.account, "eu-central-1").write_value(path, SecretStr(value))
    reference = {"backend": "secrets-manager", "path": path}
    return world.run(word, name, world.add_spec(name, secrets={"mail-key": reference}))


def send_a_value(world: World, name: str, value: str) -> list[str]:
    """A person who writes the value itself into a file: what the API answers."""
    spec = f"name: {name}\nclass: sandbox\nowner: a@b.example\ncost_centre: X-1\nsecrets:\n  k: {{value: {value}}}\n"
    headers = {"Authorization": f"Bearer {world.stack.token}"}
    url = f"{world.stack.settings.api_url}/api/environments"
    answer = httpx.post(url, json={"spec": spec}, headers=headers, trust_env=False, timeout=60)
    assert answer.status_code == 422, answer.text
    return [answer.text]


def show(hits: set[Hit]) -> list[str]:
    """Hits as a failure shows them, without the values."""
    return sorted(f"{hit.canary}: {hit.place}: {hit.where}" for hit in hits)


def test_every_flow_was_driven_to_its_end(driven: Driven) -> None:
    """Those that were to fail failed where they should, and the others succeeded: the search looks at real runs."""
    ended = {kind: (run.status, run.environment_status) for kind, run in driven.runs.items()}
    assert ended == {
        "plan": ("succeeded", None),
        "provision that fails": ("failed", "failed"),
        "provision": ("succeeded", "ready"),
        "plan again": ("succeeded", None),
        "plan without a secret": ("failed", None),
        "provision without a secret": ("failed", None),
        "teardown that fails": ("failed", "degraded"),
        "teardown": ("succeeded", "destroyed"),
        "error with a secret": ("failed", None),
    }
    for kind in ("plan without a secret", "provision without a secret"):
        assert "secret payment-key (vault, canary/" in driven.runs[kind].error
        assert "version 99) has no such version (it has 1)" in driven.runs[kind].error
    assert "does not take **********" in driven.runs["error with a secret"].error


def test_a_leak_is_found_and_nothing_else(driven: Driven, world: World) -> None:
    """One search: it finds what leaked in every kind of place that a flow writes to, and no other secret anywhere."""
    leaked = {"leaked": draw()}
    failed = run_with_secret(world, driven.leaky, "leak secret", leaked["leaked"])
    assert failed.status == "failed"
    # Prefect writes logs and events some seconds after their runs: once the leak's are there, those before it are too.
    wait_for(
        "the leak is found in every kind of place",
        lambda: {hit.place for hit in driven.places.find(leaked)} >= LEAKY,
        timeout_seconds=120,
    )
    secrets = driven.secrets | leaked | _credentials(world)
    hits = driven.places.find(secrets)
    assert show({hit for hit in hits if hit.canary == "leaked"})
    assert show({hit for hit in hits if hit.canary != "leaked" and not _is_kept_there(hit, world)}) == []
    assert not any(value in answer for value in secrets.values() for answer in driven.answers)


def _credentials(world: World) -> Mapping[str, str]:
    """The local Vault's own: whoever has them has the secrets."""
    layout = Layout(world.stack.settings.state_dir)
    return {
        "Vault's root token": read_root_token(world.stack.settings),
        "Vault's secret id": layout.vault_secret_id.read_text().strip(),
    }


def _is_kept_there(hit: Hit, world: World) -> bool:
    """The local Vault's credentials are in their own files, mode 0600, and nowhere else."""
    layout = Layout(world.stack.settings.state_dir)
    kept = {"Vault's root token": layout.vault_root, "Vault's secret id": layout.vault_secret_id}
    place = kept.get(hit.canary)
    return place is not None and hit.where == str(place) and place.stat().st_mode & 0o777 == 0o600
