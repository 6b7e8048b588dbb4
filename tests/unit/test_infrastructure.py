"""What a specification becomes: the variables of a stack, and the gaps that a report names."""

import pathlib
import re
from typing import Any

import pytest

from domain.gaps import list_gaps
from domain.infrastructure import StackAccount, terraform_inputs
from domain.spec import EnvironmentSpec
from domain.spec_file import resolve_spec

ROOT = pathlib.Path(__file__).parents[2]
CLASSES = {file.stem: file.read_text() for file in (ROOT / "environments" / "classes").glob("*.yaml")}
ACCOUNT = StackAccount(id="111111111111", role_arn="", state_bucket="state", vault_bucket="vault")


def shipped(name: str, more: str = "") -> EnvironmentSpec:
    """A shipped environment, with more lines at its end."""
    return resolve_spec((ROOT / "environments" / f"{name}.yaml").read_text() + more, name, CLASSES)


def inputs(name: str, more: str = "") -> dict[str, Any]:
    """The variables of a shipped environment."""
    return terraform_inputs(shipped(name, more), 3, "run-1", ACCOUNT)


def declared_variables(stack: str) -> dict[str, str]:
    """The variables that a stack declares, each with the text of its block."""
    text = (ROOT / "infra" / "terraform" / "stacks" / stack / "variables.tf").read_text()
    return dict(re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("stack", ["aws", "terraform_data"])
def test_inputs_are_the_variables_of_each_stack(stack: str) -> None:
    """The contract, one way and the other: no variable is missing, none is unknown to the stack."""
    assert inputs("production").keys() == declared_variables(stack).keys()


@pytest.mark.parametrize(
    "name",
    ["account", "network", "database", "media", "queue", "cluster", "load_balancer", "alarms", "dns", "rehearsal"],
)
def test_attributes_are_those_of_the_stack(name: str) -> None:
    """Each object has exactly the attributes that the stack declares; Terraform would drop others in silence."""
    declared = declared_variables("aws")[name]
    attributes = set(re.findall(r"(\w+)\s*= (?:optional\()?(?:string|number|bool|list|map)", declared))
    assert inputs("production")[name].keys() == attributes


def test_sandbox_has_neither_network_nor_database() -> None:
    """A sandbox is a handful of resources: what it does not have is null."""
    absent = {key for key, value in inputs("sandbox").items() if value is None}
    assert absent == {"network", "database", "media", "cluster", "load_balancer", "alarms", "dns"}


def test_dev_has_every_part_but_replicas_and_a_cluster() -> None:
    """Dev has the parts that developers use, once each; its database is a pair, which Terraform leaves out."""
    dev = inputs("dev")
    assert {key for key, value in dev.items() if value is None} == {"cluster", "dns", "database"}
    assert shipped("dev").data.has_pair
    assert not dev["media"]["has_replica"]


def test_protection_reaches_the_resources() -> None:
    """What a teardown takes along follows from the protection: nothing of production, copies of staging, all of dev."""
    kept = {
        name: (
            inputs(name)["media"]["empty_on_destroy"],
            inputs(name)["database"]["keep_final_snapshot"],
            inputs(name)["database"]["is_deletion_protected"],
        )
        for name in ("staging", "production")
    }
    assert kept == {"staging": (False, True, False), "production": (False, True, True)}
    assert inputs("dev")["media"]["empty_on_destroy"]


def test_capacity_replaces_size() -> None:
    """A size stands for instances and nodes; explicit capacity says them itself."""
    explicit = "capacity:\n  database: {instance_class: db.m6g.large, storage_gib: 99}\n"
    explicit += "  nodes: {type: m6i.large, count: 2, max_count: 4}\n"
    assert inputs("staging")["database"]["instance_class"] == "db.t4g.medium"
    assert inputs("staging", explicit)["database"]["storage_gib"] == 99
    nodes = [inputs(name)["cluster"]["node_count"] for name in ("staging", "production")]
    assert nodes == sorted(set(nodes))


def test_only_secrets_of_the_environment_are_made() -> None:
    """A reference into Vault is somebody else's secret: Terraform does not hear of it."""
    assert inputs("dev")["secrets"].keys() == {"session-key"}


def test_tags_fit_aws() -> None:
    """Every resource carries the five tags, in the characters that AWS takes."""
    tags = inputs("dev")["tags"]
    assert tags.keys() == {"environment", "owner", "cost-centre", "managed-by", "run"}
    assert all(re.fullmatch(r"[\w\s.:/=+@-]{1,256}", value) for value in tags.values())


def test_recovery_region_falls_back() -> None:
    """A stack always gets a recovery region; without one nothing is made there, so the region itself serves."""
    assert inputs("sandbox")["recovery_region"] == inputs("sandbox")["region"]


def test_gaps_name_what_is_not_made() -> None:
    """Namespace, workloads, cache and foreign secrets are named, each with a way out."""
    gaps = list_gaps(shipped("dev"), [], ["secrets-manager"])
    assert [gap.summary for gap in gaps] == [
        "namespace dev in the cluster of staging is not made",
        "services are not deployed: api, search, web, worker",
        "cache (valkey) is not made",
        "secret payment-key was not looked up",
    ]
    assert all(gap.resolution for gap in gaps)


@pytest.mark.parametrize(("known", "count"), [(["kind-local"], 0), (["other"], 1), ([], 1)])
def test_missing_context_is_a_gap(known: list[str], count: int) -> None:
    """A kubeconfig context is a gap exactly where the worker does not have it."""
    gaps = list_gaps(shipped("sandbox", "cluster: {context: kind-local}\n"), known, [])
    assert sum("kubeconfig" in gap.summary for gap in gaps) == count


def test_rehearsal_is_named_as_such() -> None:
    """The report of an environment on terraform_data says that nothing was made."""
    assert (
        list_gaps(shipped("dev", "cloud: terraform_data\n"), [], [])[0].summary
        == "infrastructure is rehearsed, not made"
    )
