"""The proofs that need flows stand on the same world as their tests, and some look at it in a browser."""

from tests.e2e.conftest import window
from tests.flows.conftest import name, world

__all__ = ["name", "window", "world"]
