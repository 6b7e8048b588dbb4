"""Tests against real servers: the emulator, PostgreSQL, Terraform."""
