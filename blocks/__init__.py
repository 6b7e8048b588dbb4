"""One file per outside system: all I/O, behind plain methods that raise our errors."""
