"""One file per outside system: each task is one effect around one call of a block."""
