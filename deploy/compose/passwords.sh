#!/usr/bin/env bash
# Gives each role of the database the password that stands in its URL. It may run again at any time.
set -euo pipefail

PGPASSWORD=$(<"${SECRETS:-/run/secrets}/postgres_password")
export PGPASSWORD
for role in connector relay mail_worker; do
  url=$(<"${SECRETS:-/run/secrets}/${role}_database_url")
  [[ $url =~ ^postgresql://replyco_$role:([0-9a-f]+)@ ]] || { echo "The URL of $role is none of prepare.sh's." >&2; exit 1; }
  # On standard input: nobody reads it among the arguments of processes.
  psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username="${PGUSER:-postgres}" --dbname="${PGDATABASE:-replyco}" \
    <<<"ALTER ROLE replyco_$role LOGIN PASSWORD '${BASH_REMATCH[1]}';"
done
