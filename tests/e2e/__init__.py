"""The whole stack as people use it: the command, curl, and a real browser on the Prefect UI."""
