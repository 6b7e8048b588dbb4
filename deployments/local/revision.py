"""The code that each server of the stack is made of: where it changed, `make up` starts the server anew."""

from blocks import revision

# Packages and the code that a server holds in memory. Flows are not here: the worker looks at their files itself.
SOURCES = {
    "emulator": ("deployments/local/emulator*.py",),
    "prefect": ("uv.lock", "deployments/local/prefect_server.py"),
    "worker": ("uv.lock", "deployments/worker/*.py"),
    "watcher": ("uv.lock", "deployments/local/watch*.py", "blocks/**/*.py", "domain/**/*.py"),
    "api": ("uv.lock", "console/**/*.py", "blocks/**/*.py", "domain/**/*.py"),
}


def read_revision(part: str) -> dict[str, str]:
    """An environment variable with the digest of all files that the part is made of."""
    return revision.read_revision(*SOURCES[part])
