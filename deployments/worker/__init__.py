"""The warm worker: each run is a process of its own, forked from one that has imported the flows already."""
