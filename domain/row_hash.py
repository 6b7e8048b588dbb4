"""The hash of a table's rows, in SQL: equal for equal rows in any order. docs/backups.md defines it.

The sum over the rows of the first eight bytes of md5(row), as signed 64-bit numbers, where a row is PostgreSQL's own
text of it. A sum, not an exclusive or: two equal rows do not cancel each other out.
"""

#: What the text of a row depends on; PostgreSQL's defaults, but said.
TEXT_SETTINGS = {
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
}


def hash_query(table: str, encoding: str = "UTF8") -> str:
    """Rows and hash of a table, whose quoted name is given; the text is hashed in UTF-8 whatever the database has."""
    text = "t::text" if encoding == "UTF8" else "convert_to(t::text, 'UTF8')"
    row = f"('x' || left(md5({text}), 16))::bit(64)::bigint"
    return f"SELECT count(*), coalesce(sum({row}), 0)::text FROM {table} t"  # noqa: S608 - the name is quoted by who asks
