"""The local stack of `make up`: which servers run here, on which ports, in which order, and when they are healthy."""
