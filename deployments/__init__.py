"""What runs where and when: every deployment with its schedule, and in `local/` the stack of `make up`."""
