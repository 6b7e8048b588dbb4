"""The plugins that tests of several levels share."""

import pytest

pytest_plugins = ["tests.vault_server", "tests.postgres_server", "tests.stack", "tests.told_ledger", "tests.pair_world"]

# Modules that assert on behalf of tests: their failures then tell the values too.
pytest.register_assert_rewrite("tests.flow_world", "tests.flow_steps")
