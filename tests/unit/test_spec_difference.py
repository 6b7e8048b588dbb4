"""How two environments differ, key by key."""

import pathlib

from domain.spec import EnvironmentSpec
from domain.spec_difference import list_differences
from domain.spec_file import resolve_spec

ENVIRONMENTS = pathlib.Path(__file__).parents[2] / "environments"
CLASSES = {file.stem: file.read_text() for file in (ENVIRONMENTS / "classes").glob("*.yaml")}


def shipped(name: str, more: str = "") -> EnvironmentSpec:
    """A shipped environment, with more lines at its end."""
    return resolve_spec((ENVIRONMENTS / f"{name}.yaml").read_text() + more, name, CLASSES)


def differences(left: EnvironmentSpec, right: EnvironmentSpec) -> dict[str, tuple[object, object]]:
    """Key → (left, right)."""
    return {item.key: (item.left, item.right) for item in list_differences(left, right)}


def test_equal_specs_do_not_differ() -> None:
    """An environment does not differ from itself."""
    assert list_differences(shipped("dev"), shipped("dev")) == []


def test_staging_and_production_differ_where_they_must() -> None:
    """Replica, cluster, protection, windows and alarms differ, and so does the account."""
    found = differences(shipped("staging"), shipped("production"))
    assert found["data.database.has_replica"] == (False, True)
    assert found["data.media.has_replica"] == (False, True)
    assert found["capacity.nodes.count"] == (2, 3)
    assert found["protection.teardown"] == ("allowed", "refused")
    assert found["maintenance_windows[0].schedule"] == ("0 9 * * MON-FRI", "0 3 * * SUN")
    assert found["alarms.database_cpu_percent"] == (80, 70)
    assert found["account"] == ("nonproduction", "production")


def test_absent_keys_are_none() -> None:
    """A key that only one side has is None on the other; lists of words are one value."""
    found = differences(
        shipped("dev"), shipped("dev", "maintenance_windows: []\ndns: {zone: a.example}\nsize: large\n")
    )
    assert found["dns.zone"] == (None, "a.example")
    assert found["size"] == ("small", "large")
    assert found["capacity.database.storage_gib"] == (20, 200)
    assert "maintenance_windows" not in found


def test_differences_are_mirrored() -> None:
    """Left and right exchanged give the same keys with exchanged values."""
    there, back = differences(shipped("dev"), shipped("staging")), differences(shipped("staging"), shipped("dev"))
    assert {key: (right, left) for key, (left, right) in back.items()} == there
