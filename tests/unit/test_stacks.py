"""The stacks keep one contract, and what checkov lets pass has its reason at its resource."""

import re
from pathlib import Path
from typing import Any

import hcl2
import pytest

INFRA = Path(__file__).parents[2] / "infra"
STACKS = INFRA / "terraform" / "stacks"
HCL_FILES = sorted((INFRA / "terraform").rglob("*.tf"))
SKIP = re.compile(r"checkov:skip\s*=\s*(?P<check>[\w*]*)(?P<reason>.*)")
PARTS = {
    "alarms",
    "cluster",
    "dashboard",
    "database",
    "database_replica",
    "dead_letters",
    "dns",
    "key",
    "load_balancer",
    "logs",
    "media",
    "media_replica",
    "network",
    "notifications",
    "queue",
    "registry",
    "secrets",
}


def read_blocks(path: Path, kind: str) -> dict[str, dict[str, Any]]:
    """Blocks of one kind by their last label, without the quotes that python-hcl2 keeps."""
    blocks = {}
    for block in hcl2.loads(path.read_text()).get(kind, []):
        labels = []
        while len(block) == 1 and next(iter(block)).startswith('"'):
            ((label, block),) = block.items()
            labels.append(label.strip('"'))
        blocks[labels[-1]] = block
    return blocks


def read_locals(path: Path) -> dict[str, Any]:
    """All local values of a file."""
    return {name: value for block in hcl2.loads(path.read_text()).get("locals", []) for name, value in block.items()}


def test_stacks_have_the_same_variables() -> None:
    """Same names and same types: a tfvars file of one stack is one of the other. None has a default to hide behind."""
    aws, other = (read_blocks(STACKS / stack / "variables.tf", "variable") for stack in ("aws", "terraform_data"))
    assert [(name, block["type"]) for name, block in aws.items()] == [
        (name, block["type"]) for name, block in other.items()
    ]
    assert [name for name, block in (aws | other).items() if "default" in block] == []


def test_stacks_have_the_same_outputs() -> None:
    """Same names, and `endpoints` the same keys: who reads them need not know the cloud."""
    aws, other = (read_blocks(STACKS / stack / "outputs.tf", "output") for stack in ("aws", "terraform_data"))
    assert aws.keys() == other.keys() == {"parts", "endpoints", "secret_names", "dns_zone"}
    assert aws["endpoints"]["value"].keys() == other["endpoints"]["value"].keys()


def test_terraform_data_has_one_resource_for_every_part() -> None:
    """A part that AWS has and the other stack lacks would never be rehearsed."""
    aws = read_locals(STACKS / "aws" / "outputs.tf")["parts"]
    other = read_locals(STACKS / "terraform_data" / "outputs.tf")["made"]
    resources = read_blocks(STACKS / "terraform_data" / "main.tf", "resource")
    for names in (aws, other, resources):
        assert {name for name in names if not name.startswith("__")} == PARTS


def test_every_part_can_be_told_to_fail() -> None:
    """Each resource runs the rehearsal of its own name."""
    resources = read_blocks(STACKS / "terraform_data" / "main.tf", "resource")
    for name, block in resources.items():
        ((provisioner,),) = (block["provisioner"],)
        assert provisioner['"local-exec"']["command"] == f"${{local.rehearse.{name}}}"


@pytest.mark.parametrize("path", HCL_FILES, ids=lambda path: str(path.relative_to(INFRA)))
def test_each_exception_from_checkov_names_one_check_and_a_reason(path: Path) -> None:
    """An exception stands inside its resource, names one check and says why in words."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if found := SKIP.search(line):
            assert line.startswith("  #"), f"line {number}: outside of a resource"
            assert re.fullmatch(r"CKV2?_AWS_\d+", found["check"]), f"line {number}: not one check"
            assert len(found["reason"].removeprefix(":").split()) >= 4, f"line {number}: no reason"


def test_checkov_has_no_skip_list() -> None:
    """A list of skipped checks beside the resources would hide what nobody wrote a reason for."""
    root = INFRA.parent
    assert [*root.glob(".checkov.y*ml"), *(INFRA / "terraform").rglob(".checkov.y*ml")] == []
    commands = [root / "Makefile", root / ".ci" / "run", INFRA / "checkov" / "pyproject.toml"]
    narrowed = re.compile(r"--(skip-(check|path|framework|resources)|soft-fail|baseline)\b")
    assert [path.name for path in commands if narrowed.search(path.read_text())] == []
