"""What a restored database holds: its tables counted and hashed, rules asked of it, sentinels looked up. Only reads."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

import psycopg
from psycopg import sql

from blocks.scratch.server import OWN_SCHEMAS, ScratchServer
from domain.backup import Sentinel, TableContent
from domain.row_hash import TEXT_SETTINGS, hash_query

Connection = psycopg.Connection[tuple[object, ...]]
#: Everything that has rows, but what is PostgreSQL's and our own.
OF_THE_BACKUP = """
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema'
AND n.nspname NOT LIKE 'pg\\_%%' AND NOT n.nspname = ANY (%s)
"""
#: A table has rows of its own, but partitions belong to the table above them.
RELATIONS = f"""
SELECT n.nspname, c.relname, c.relkind IN ('r', 'p') AND NOT c.relispartition {OF_THE_BACKUP} ORDER BY 1, 2
"""
#: Hexadecimal digits of a schema's version.
SCHEMA_DIGITS = 16
#: What a schema is made of, a row each: relations, columns, constraints, indexes. No expressions: PostgreSQL words some
#: of them anew after each dump. No privileges and no owners: a restore leaves them out.
SCHEMA = f"""
WITH relation AS (
  SELECT c.oid, n.nspname, c.relname, c.relkind {OF_THE_BACKUP}
), attribute AS (
  SELECT r.*, a.attrelid, a.attnum, a.attname, a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated,
    pg_catalog.format_type(a.atttypid, a.atttypmod) AS type
  FROM relation r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
)
SELECT 'relation', nspname, relname, ARRAY[relkind::text] FROM relation
UNION ALL SELECT 'column', nspname, relname,
  ARRAY[attname, type, attnotnull::text, atthasdef::text, attidentity::text, attgenerated::text] FROM attribute
UNION ALL SELECT 'constraint', r.nspname, r.relname, ARRAY[o.conname, o.contype::text, o.convalidated::text,
    coalesce(o.confrelid::regclass::text, '')] || ARRAY(SELECT a.attname::text FROM attribute a
      WHERE a.attrelid = o.conrelid AND a.attnum = ANY (o.conkey) ORDER BY array_position(o.conkey, a.attnum))
  FROM relation r JOIN pg_catalog.pg_constraint o ON o.conrelid = r.oid AND o.conparentid = 0
  WHERE o.contype IN ('c', 'f', 'p', 'u', 'x')
UNION ALL SELECT 'index', r.nspname, r.relname, ARRAY[i.relname, x.indisunique::text] || ARRAY(
    SELECT coalesce(a.attname::text, '') FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(attnum, place)
    LEFT JOIN attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum ORDER BY k.place)
  FROM relation r JOIN pg_catalog.pg_index x ON x.indrelid = r.oid AND x.indisvalid
  JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
"""  # noqa: S608 - our own words
#: A team's own statement runs no longer than this.
STATEMENT_SECONDS = 600


def split_name(name: str) -> tuple[str, str]:
    """Schema and table of a name as people write it: without a schema, public."""
    schema, dot, table = name.rpartition(".")
    return (schema, table) if dot else ("public", name)


def full_name(name: str) -> str:
    """As this module names tables: with the schema."""
    return ".".join(split_name(name))


def list_relations(connection: Connection) -> dict[str, bool]:
    """Everything that can be asked for rows, with its schema, and whether it is a table with rows of its own."""
    found = connection.execute(RELATIONS, (list(OWN_SCHEMAS),)).fetchall()
    return {f"{schema}.{table}": bool(is_table) for schema, table, is_table in found}


def list_tables(connection: Connection) -> list[str]:
    """The tables of the backup, with their schemas."""
    return [name for name, is_table in list_relations(connection).items() if is_table]


def read_schema_version(connection: Connection) -> str:
    """A fingerprint of the schema: tables, columns, constraints and indexes. A dump and its restore keep it.

    Afterwards the session's search_path is `pg_catalog`.
    """
    connection.execute("SELECT set_config('search_path', 'pg_catalog', false)")  # else a name's schema may be left out
    rows = sorted(json.dumps(row, default=str) for row in connection.execute(SCHEMA, (list(OWN_SCHEMAS),)).fetchall())
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:SCHEMA_DIGITS]


def measure_tables(connection: Connection, names: Iterable[str]) -> dict[str, TableContent]:
    """Rows and hash of each table, in one look at each."""
    for setting, value in TEXT_SETTINGS.items():
        connection.execute("SELECT set_config(%s, %s, false)", (setting, value))
    (encoding,) = connection.execute("SHOW server_encoding").fetchone() or ("UTF8",)
    found = {}
    for name in names:
        query = hash_query(sql.Identifier(*split_name(name)).as_string(connection), str(encoding))
        rows, content = connection.execute(query.encode()).fetchone() or (0, "0")
        found[name] = TableContent(rows=int(str(rows)), hash=str(content))
    return found


def count_broken(server: ScratchServer, invariants: Mapping[str, str]) -> dict[str, int | str]:
    """Per rule the rows that its SQL returns: each breaks it. A reason where the database cannot answer it."""
    found: dict[str, int | str] = {}
    for name, statement in invariants.items():
        with server.connect() as connection:
            connection.execute("SET search_path = public; SET default_transaction_read_only = on")
            connection.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
            query = f"SELECT count(*) FROM ({statement.strip().rstrip(';')}) broken"  # noqa: S608 - the team's own SQL
            try:
                (rows,) = connection.execute(query.encode()).fetchone() or (0,)
                found[name] = int(str(rows))
            except psycopg.Error as error:
                found[name] = f"cannot be asked of what was restored: {_tell(error)}"
    return found


def find_sentinels(connection: Connection, sentinels: Sequence[Sentinel]) -> list[bool | str]:
    """For each whether its row is there, or why it cannot be."""
    return [_find(connection, sentinel) for sentinel in sentinels]


def _find(connection: Connection, sentinel: Sentinel) -> bool | str:
    conditions = sql.SQL(" AND ").join(
        sql.SQL("{} IS NULL" if value is None else "{} = {}").format(sql.Identifier(column), _literal(value))
        for column, value in sentinel.row.items()
    )
    table = sql.Identifier(*split_name(sentinel.table))
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {})").format(table, conditions)
    try:
        found = connection.execute(query).fetchone()
    except psycopg.Error as error:
        return _tell(error)
    return bool(found and found[0])


def _literal(value: object) -> sql.Composable:
    """Text without a type, so that the column gives it one: JSON has no times and no uuids."""
    return sql.Literal(str(value).lower() if isinstance(value, bool) else str(value))


def _tell(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error)).strip()
