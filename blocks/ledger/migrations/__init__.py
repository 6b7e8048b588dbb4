"""Alembic's scripts: forward only, each revision frozen once it has landed."""
