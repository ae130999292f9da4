#!/usr/bin/env bash
# Puts back what backup.sh has kept. docs/operations/restore.md says in which order, and what comes before the first process.
set -euo pipefail
umask 077
export LC_ALL=C

usage() {
  cat <<'HELP'
Usage: restore.sh database FOLDER [TIME]   into an empty data folder of PostgreSQL, up to TIME or to the end of the log
       restore.sh blobs FOLDER             large mail, also what has ended since the oldest backup
       restore.sh keys FOLDER              the newest key files
       restore.sh wal NAME FILE            one file of the log; PostgreSQL calls it while it is restored

TIME is one that `date` understands, with its zone: '2026-11-29 08:15:00 UTC'. Settings, from the environment:

  REPLYCO_BACKUP_FOLDER               where backups lie
  REPLYCO_BACKUP_IDENTITY_FILE        age's private key of the data
  REPLYCO_BACKUP_KEYS_FOLDER          where the keys' backups lie
  REPLYCO_BACKUP_KEYS_IDENTITY_FILE   age's private key of these
HELP
}

die() {
  echo "restore.sh: $*" >&2
  exit 1
}

setting() {
  local name=REPLYCO_BACKUP_$1
  [[ -n ${!name:-} ]] || die "$name is not set; restore.sh --help says what it is"
  echo "${!name}"
}

empty_folder() {
  mkdir -p "$1"
  [[ -z $(ls -A "$1") ]] || die "$1 is not empty"
}

# A value of postgresql.auto.conf.
quoted() {
  echo "'${1//\'/\'\'}'"
}

database() {
  local target=$1 time=${2:-} folder identity before=9 base='' name here
  folder=$(realpath "$(setting FOLDER)")
  identity=$(realpath "$(setting IDENTITY_FILE)")
  empty_folder "$target"
  [[ -z $time ]] || before=$(date -u -d "$time" +%Y%m%dT%H%M%S.%6NZ)
  while IFS= read -r name; do
    [[ ! $name < $before ]] || base=$name
  done < <(find "$folder/base" -name '*.tar.gz.age' -printf '%f\n' | sort)
  [[ -n $base ]] || die "no base backup ended before $time"
  age --decrypt --identity "$identity" "$folder/base/$base" | gzip -d | tar --extract --directory "$target"
  chmod 700 "$target"
  here=$(realpath "${BASH_SOURCE[0]}")
  {
    echo "# Restored from $base. Remove the rest of this file when the server is to be archived and waited for again."
    printf 'restore_command = %s\n' "$(quoted "$(printf 'REPLYCO_BACKUP_FOLDER=%q REPLYCO_BACKUP_IDENTITY_FILE=%q %q wal %%f "%%p"' "$folder" "$identity" "$here")")"
    [[ -z $time ]] || printf 'recovery_target_time = %s\n' "$(quoted "$(date -u -d "$time" '+%Y-%m-%d %H:%M:%S.%6N+00')")"
    echo "recovery_target_action = 'promote'"
    # A rehearsal beside the living server must not write into its archive, and waits for no standby.
    echo "archive_mode = off"
    echo "synchronous_standby_names = ''"
  } >>"$target/postgresql.auto.conf"
  touch "$target/recovery.signal"
  echo "Restored from $base. Start PostgreSQL on $target; it replays the log and opens when it is done."
  echo "Before the first process of Replyco: python -m migrations upgrade, then python -m migrations restored (docs/operations/restore.md)."
}

wal() {
  local file
  file=$(setting FOLDER)/wal/$1.gz.age
  # The first name that is not there is the end of the log.
  [[ -e $file ]] || exit 1
  age --decrypt --identity "$(setting IDENTITY_FILE)" "$file" | gzip -d >"$2"
}

blobs() {
  local folder ended
  folder=$(setting FOLDER)
  empty_folder "$1"
  for ended in "$folder"/blobs-ended/*/ "$folder/blobs/"; do
    [[ ! -d $ended ]] || cp -R --preserve=timestamps "$ended." "$1"
  done
}

keys() {
  local newest
  newest=$(find "$(setting KEYS_FOLDER)" -name '*.tar.age' | sort | tail -n 1)
  [[ -n $newest ]] || die "there are no keys"
  empty_folder "$1"
  age --decrypt --identity "$(setting KEYS_IDENTITY_FILE)" "$newest" | tar --extract --directory "$1"
}

case ${1:-} in
database) database "${2:?restore.sh database FOLDER}" "${3:-}" ;;
blobs | keys) "$1" "${2:?restore.sh $1 FOLDER}" ;;
wal) wal "${2:?restore.sh wal NAME FILE}" "${3:?restore.sh wal NAME FILE}" ;;
-h | --help) usage ;;
*)
  usage >&2
  exit 2
  ;;
esac
