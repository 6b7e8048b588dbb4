"""PostgreSQL servers that we run ourselves: their folders, their sessions and, two of them together, a pair.

`cluster.py` is one server's folder, `account.py` as whom it runs, `pair.py` two servers of an environment.
"""
