"""The proofs that need flows stand on the same world as their tests."""

from tests.flows.conftest import name, world

__all__ = ["name", "world"]
