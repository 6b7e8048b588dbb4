#!/bin/sh
# Run once by the postgres image, before it listens: a database for Prefect, one for the ledger, and a role for each right.
# Each role can connect to its own database only. The ledger's tables are made later, by `python -m deployments migrate`.
set -eu

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  --set prefect="$PREFECT_DATABASE_PASSWORD" --set owner="$LEDGER_OWNER_PASSWORD" --set app="$LEDGER_APP_PASSWORD" <<'SQL'
CREATE ROLE prefect LOGIN PASSWORD :'prefect';
CREATE ROLE terrarium_owner LOGIN PASSWORD :'owner';
CREATE ROLE terrarium_app LOGIN PASSWORD :'app';
CREATE DATABASE prefect OWNER prefect;
CREATE DATABASE terrarium OWNER terrarium_owner;
REVOKE CONNECT ON DATABASE prefect, terrarium, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE terrarium TO terrarium_app;
SQL
