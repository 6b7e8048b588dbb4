"""The specification itself: what it remembers, what its rules refuse, and that its schema is the committed one."""

import json
import pathlib
import re
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML

from domain.quantity import Hours, Mebibytes, Millicores, Minutes
from domain.schema import class_schema, file_schema, render_schema, spec_schema
from domain.spec import EnvironmentSpec
from domain.spec_file import resolve_spec

ENVIRONMENTS = pathlib.Path(__file__).parents[2] / "environments"
CLASSES = {file.stem: file.read_text() for file in (ENVIRONMENTS / "classes").glob("*.yaml")}
SCHEMAS = {"environments/schema.json": file_schema, "environments/classes/schema.json": class_schema}


def shipped(name: str) -> EnvironmentSpec:
    """A shipped environment, resolved."""
    return resolve_spec((ENVIRONMENTS / f"{name}.yaml").read_text(), name, CLASSES)


def changed(name: str, /, **keys: Any) -> EnvironmentSpec:
    """A shipped environment with some keys of its canonical JSON replaced."""
    return EnvironmentSpec.model_validate_json(json.dumps({**json.loads(shipped(name).canonical_json()), **keys}))


class Quantities(BaseModel):
    """One field of each quantity."""

    minutes: Minutes = 1
    hours: Hours = 1
    mebibytes: Mebibytes = 1
    millicores: Millicores = 1


@pytest.mark.parametrize("name", ["sandbox", "dev", "staging", "production"])
def test_canonical_json_gives_the_spec_back(name: str) -> None:
    """What the ledger keeps is the whole specification: reading it gives an equal one with the same digest."""
    spec = shipped(name)
    again = EnvironmentSpec.model_validate_json(spec.canonical_json())
    assert again == spec
    assert again.digest() == spec.digest()


def test_digest_ignores_spelling_and_order() -> None:
    """Equal meanings have equal digests: 8h is 480m, half a core is 500m, and the order of keys says nothing."""
    spelt = changed("sandbox", ttl="480m")
    turned = EnvironmentSpec.model_validate_json(json.dumps(dict(reversed(json.loads(spelt.canonical_json()).items()))))
    assert spelt.digest() == turned.digest() == shipped("sandbox").digest()
    assert spelt.digest() != changed("sandbox", ttl="479m").digest()


@pytest.mark.parametrize(
    ("field", "text", "number", "written"),
    [
        ("minutes", "90m", 90, "90m"),
        ("minutes", "8h", 480, "8h"),
        ("minutes", "48h", 2880, "2d"),
        ("hours", "120m", 2, "2h"),
        ("hours", "7d", 168, "7d"),
        ("mebibytes", "1024Mi", 1024, "1Gi"),
        ("mebibytes", "1500Mi", 1500, "1500Mi"),
        ("millicores", "250m", 250, "250m"),
        ("millicores", "2", 2000, "2000m"),
        ("millicores", 0.25, 250, "250m"),
    ],
)
def test_quantities_are_read_and_written(field: str, text: Any, number: int, written: str) -> None:
    """A quantity is one whole number of its unit, and is written in the largest unit that is exact."""
    read = Quantities.model_validate({field: text})
    assert getattr(read, field) == number
    assert read.model_dump(mode="json")[field] == written


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("minutes", value) for value in (8, "8", "8s", "0h", "-1h", "8 h", "1.5h", None, True, "9999999d")],
        *[("hours", value) for value in ("90m", "30m", 24)],
        *[("mebibytes", value) for value in ("512MB", "512", 512, "1Ti", "0Mi")],
        *[("millicores", value) for value in ("0", "0.0001", "m", "1 core", True, "-1", "0.1m", [])],
    ],
)
def test_other_quantities_are_refused(field: str, value: Any) -> None:
    """A number without its unit, a fraction, nothing, and an unknown unit are refused."""
    with pytest.raises(ValidationError):
        Quantities.model_validate({field: value})


@pytest.mark.parametrize(("ttl", "warning"), [("8h", 60), ("2h", 30), ("10m", 2), ("2m", 1)])
def test_warning_follows_ttl(ttl: str, warning: int) -> None:
    """Without a word about it, a warning comes a quarter of the TTL before the end, an hour at most."""
    keys = json.loads(shipped("sandbox").canonical_json())
    del keys["ttl_warning"]
    assert EnvironmentSpec.model_validate_json(json.dumps({**keys, "ttl": ttl})).ttl_warning_minutes == warning


@pytest.mark.parametrize(
    ("name", "keys", "key"),
    [
        ("sandbox", {"ttl": "10m", "ttl_warning": "10m"}, "ttl_warning"),
        ("dev", {"ttl_warning": "10m"}, "ttl_warning"),
        ("dev", {"network": None}, "load_balancer"),
        ("dev", {"network": None}, "data"),
        ("staging", {"network": None}, "cluster"),
        ("staging", {"load_balancer": False}, "dns"),
        ("staging", {"size": None, "capacity": {}}, "capacity"),
        ("dev", {"network": {"zones": 2, "nat_gateways": 3}}, "network"),
        ("dev", {"name": "a" * 19}, "name"),
        ("dev", {"name": "a--b"}, "name"),
        ("dev", {"name": "1a"}, "name"),
        ("dev", {"name": "a-"}, "name"),
        ("dev", {"cluster": {}}, "cluster"),
        ("dev", {"secrets": {"database": {"backend": "environment"}}}, "secrets"),
        ("dev", {"secrets": {"key": {"backend": "environment", "path": "a/b"}}}, "secrets"),
        ("dev", {"secrets": {"key": {"backend": "vault"}}}, "secrets"),
    ],
)
def test_rules_between_keys(name: str, keys: dict[str, Any], key: str) -> None:
    """Each rule that spans several keys refuses, and the fault is at the key that a person would change."""
    with pytest.raises(ValidationError) as caught:
        changed(name, **keys)
    assert key in [error["loc"][0] for error in caught.value.errors()]


@pytest.mark.parametrize("path", SCHEMAS)
def test_committed_schema_is_the_generated_one(path: str) -> None:
    """Editors show what the code accepts."""
    function = SCHEMAS[path].__name__
    command = (
        f".venv/bin/python -c 'import domain.schema as s; print(s.render_schema(s.{function}()), end=\"\")' > {path}"
    )
    committed = (ENVIRONMENTS.parent / path).read_text()
    assert committed == render_schema(SCHEMAS[path]()), f"run: {command}"


@pytest.mark.parametrize("file", sorted(ENVIRONMENTS.rglob("*.yaml")), ids=lambda file: file.stem)
def test_shipped_files_fit_the_schema_that_they_name(file: pathlib.Path) -> None:
    """Each file names its schema for the editor, and an editor would find nothing wrong in it."""
    first_line = file.read_text().splitlines()[0]
    schema = (file.parent / first_line.removeprefix("# yaml-language-server: $schema=")).read_text()
    jsonschema.Draft202012Validator(json.loads(schema)).validate(YAML(typ="safe").load(file.read_text()))


def test_every_key_has_a_description() -> None:
    """A description is what an editor shows and what a fault says is allowed: a short noun phrase."""
    parts = [spec_schema(), *spec_schema()["$defs"].values()]
    described = {key: value.get("description", "") for part in parts for key, value in part["properties"].items()}
    assert [key for key, text in described.items() if not re.fullmatch(r"[^A-Z\s].*[^.]", text)] == [
        key for key, text in described.items() if text.startswith(("DNS", "HTTP"))
    ]


def test_automatic_failover_is_for_pairs_alone() -> None:
    """A database of RDS, and none at all, are refused with the reason; `ask` is the default everywhere."""
    known = json.loads(shipped("dev").canonical_json())
    assert known["recovery"]["failover"] == "ask"
    automatic = known | {"recovery": known["recovery"] | {"failover": "automatic"}}
    assert EnvironmentSpec.model_validate_json(json.dumps(automatic)).recovery.failover == "automatic"
    without = {key: value for key, value in automatic.items() if key not in ("data", "services")}
    for data in ({"data": {"database": {"version": "16"}}}, {"data": {}}, {}):
        with pytest.raises(ValidationError, match="can be proved fenced"):
            EnvironmentSpec.model_validate_json(json.dumps(without | data))
