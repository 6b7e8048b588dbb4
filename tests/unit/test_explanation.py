"""Why a plan touches a resource."""

from domain.changes import Change, Changes
from domain.explanation import explain


def _explain(before: object, after: object, action: str = "change", **more: object) -> list[tuple[str, str, str, bool]]:
    changes = Changes(items=(Change(address="a.x", resource_type="a", action=action),))
    shown = explain(changes, [{"address": "a.x", "change": {"before": before, "after": after, **more}}])
    return [(one.key, one.before, one.after, one.forces_replacement) for one in shown.items[0].differences]


def test_only_what_differs_is_told() -> None:
    """Nested values under their keys; what comes new or goes is told as none."""
    before = {"size": 1, "tags": {"a": "x", "b": "y"}, "same": [1, 2], "gone": True}
    after = {"size": 2, "tags": {"a": "x", "b": "z"}, "same": [1, 2], "new": "n"}
    assert _explain(before, after) == [
        ("gone", "true", "(none)", False),
        ("new", "(none)", "n", False),
        ("size", "1", "2", False),
        ("tags.b", "y", "z", False),
    ]


def test_what_forces_a_replacement_comes_first() -> None:
    """That is the reason a person looks for."""
    found = _explain({"a": 1, "z": 1}, {"a": 2, "z": 2}, "replace", replace_paths=[["z"]])
    assert found == [("z", "1", "2", True), ("a", "1", "2", False)]


def test_a_secret_is_named_and_never_shown() -> None:
    """Marked before or after, as a whole or within."""
    before, after = {"password": "old", "list": [{"key": "k1"}]}, {"password": "new", "list": [{"key": "k2"}]}
    marks = {"before_sensitive": {"password": True}, "after_sensitive": {"list": [{"key": True}]}}
    found = _explain(before, after, **marks)
    assert found == [
        ("list[0].key", "(sensitive)", "(sensitive)", False),
        ("password", "(sensitive)", "(sensitive)", False),
    ]


def test_a_resource_that_is_sensitive_as_a_whole_shows_nothing() -> None:
    """Terraform marks the whole value."""
    assert _explain({"a": "x"}, {"a": "y"}, after_sensitive=True) == [("a", "(sensitive)", "(sensitive)", False)]


def test_what_is_known_only_after_the_apply_says_so() -> None:
    """An id that a replacement changes."""
    assert _explain({"id": "i-1"}, {}, after_unknown={"id": True}) == [("id", "i-1", "(known after apply)", False)]


def test_a_policy_is_told_by_its_statements() -> None:
    """Text that is JSON differs in its keys, not as a whole."""
    before, after = {"policy": '{"a":{"b":1},"c":2}'}, {"policy": '{"a":{"b":3},"c":2}'}
    assert _explain(before, after) == [("policy.a.b", "1", "3", False)]


def test_nothing_that_differs_is_left_out() -> None:
    """The plan's id stands for all of it: a hundred attributes, and the far end of a long value."""
    before, after = ({f"k{n:03d}": value for n in range(100)} for value in (1, 2))
    assert len(_explain(before, after)) == 100
    ends = {_explain({"a": "x"}, {"a": "y" * 500 + end})[0][2] for end in ("1", "2")}
    assert len(ends) == 2
    assert all(len(end) < 160 for end in ends)


def test_what_is_added_has_no_differences() -> None:
    """It differs in everything."""
    assert _explain(None, {"a": 1}, "add") == []
