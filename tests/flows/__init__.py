"""Flows on the local stack: the same stems as in tests/unit, so this is a package."""
