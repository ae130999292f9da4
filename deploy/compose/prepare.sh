#!/usr/bin/env bash
# Makes secrets/ beside the compose file: passwords for the database and the key files. What is there already stays as it is.
# Run it as root, after .env is written and the image is built.
set -euo pipefail
cd "$(dirname "$0")"
umask 077

set -a
# shellcheck disable=SC1091
. ./.env
set +a

mkdir -p secrets
made() { [[ -s secrets/$1 ]]; }
write() { made "$1" || printf '%s\n' "$2" >"secrets/$1"; }
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

made postgres_password || write postgres_password "$(random)"
write owner_database_url "postgresql://postgres:$(<secrets/postgres_password)@/replyco?host=/var/run/postgresql"
for role in connector relay mail_worker; do
  write "${role}_database_url" "postgresql://replyco_$role:$(random)@/replyco?host=/var/run/postgresql"
done

# The roles' number in the image. The database server reads its own password as the group 999.
chown -R 10001:10001 secrets
chown 10001:999 secrets/postgres_password
chmod 440 secrets/postgres_password

run() {
  docker run --rm --read-only --cap-drop ALL --network none --user 10001:10001 --volume "$PWD/secrets:/keys" \
    --env REPLYCO_DKIM_KEY_FILE=/keys/dkim-keys.json --env "REPLYCO_MAIL_DOMAIN=$MAIL_DOMAIN" \
    --env "REPLYCO_SMTP_HOSTNAME=$MX_HOST" "${REPLYCO_IMAGE:-replyco:latest}" "$@"
}
made account-keys.json || run replyco-connector keys create --directory /keys
made dkim-keys.json || run replyco-mailrelay keys dkim create

if ! made amazon_client_secret; then
  echo "Write the application's client secret into secrets/amazon_client_secret, then run this again."
  exit 1
fi
echo "All secrets are there. Back up secrets/ where no backup of the database lies."
