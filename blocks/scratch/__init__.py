"""Scratch servers: PostgreSQL in a jail of its own, made to look into a backup and removed afterwards."""

from blocks.scratch.server import ScratchServer, delete_scratch, open_scratch

__all__ = ["ScratchServer", "delete_scratch", "open_scratch"]
