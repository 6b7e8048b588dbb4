"""Of which code a server is made: its digest is part of the server's configuration, so changed code means a restart."""

import hashlib

from blocks.settings import CHECKOUT


def read_revision(*patterns: str) -> dict[str, str]:
    """An environment variable with the digest of all files that a server is made of, as globs below the checkout."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in CHECKOUT.glob(pattern)):
        digest.update(path.read_bytes())
    return {"TERRARIUM_REVISION": digest.hexdigest()[:12]}
