"""The plugins that tests of several levels share."""

pytest_plugins = ["tests.postgres_server", "tests.stack"]
