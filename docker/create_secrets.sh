#!/bin/sh
# Draws what compose.yaml asks for, once: docker/.env and docker/secrets/token. What is there already stays.
# Both are for you alone; git and the image's build leave them out.
set -eu
cd "$(dirname "$0")"
umask 077

draw() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

if [ ! -e .env ]; then
  {
    for name in POSTGRES_PASSWORD PREFECT_DATABASE_PASSWORD LEDGER_OWNER_PASSWORD LEDGER_APP_PASSWORD PREFECT_PASSWORD; do
      echo "$name=$(draw)"
    done
    # A Fernet key: 32 bytes in URL-safe base64.
    echo "PREFECT_ENCRYPTION_KEY=$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')"
  } >.env.new
  mv .env.new .env
fi

# The folder is closed; the file is open, because the step `migrate` reads it as another user.
mkdir -p secrets
if [ ! -e secrets/token ]; then
  draw >secrets/token.new
  chmod 0644 secrets/token.new
  mv secrets/token.new secrets/token
fi
