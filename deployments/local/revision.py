"""Of which code a server is made: its digest is part of the server's configuration, so changed code means a restart."""

import hashlib

from blocks.settings import CHECKOUT

# Packages and the code that a server holds in memory. Flows are not here: the worker looks at their files itself.
SOURCES = {
    "emulator": ("deployments/local/emulator*.py",),
    "prefect": ("uv.lock",),
    "worker": ("uv.lock", "deployments/worker/*.py"),
    "watcher": ("uv.lock", "deployments/local/watch*.py", "blocks/**/*.py", "domain/**/*.py"),
    "api": ("uv.lock", "console/**/*.py", "blocks/**/*.py", "domain/**/*.py"),
}


def read_revision(part: str) -> dict[str, str]:
    """An environment variable with the digest of all files that the part is made of."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in SOURCES[part] for path in CHECKOUT.glob(pattern)):
        digest.update(path.read_bytes())
    return {"TERRARIUM_REVISION": digest.hexdigest()[:12]}
