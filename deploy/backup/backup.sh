#!/usr/bin/env bash
# Backups of PostgreSQL, of large mail and of the keys, encrypted on the way. docs/operations/backup.md says how they are set up.
set -euo pipefail
umask 077
export LC_ALL=C

usage() {
  cat <<'HELP'
Usage: backup.sh [all|base|blobs|keys|expire|status]
       backup.sh wal FILE

  all       base, blobs, keys, expire; what a timer calls once a day (the default)
  base      a base backup of the whole PostgreSQL server, roles included
  blobs     what is new in the folder of large mail, and what has gone from it
  keys      the key files, if they have changed
  expire    what is older than REPLYCO_BACKUP_DAYS ends; the newest base backup stays
  wal FILE  one file of write-ahead log; PostgreSQL calls it: archive_command = '/…/backup.sh wal %p'
  status    what there is; ends with 1 if the newest backup is older than two days or a file of the log waits

Settings, from the environment (libpq's own PGHOST, PGUSER, PGPASSFILE … say where PostgreSQL is):

  REPLYCO_BACKUP_FOLDER                 where backups go; another machine's disk
  REPLYCO_BACKUP_RECIPIENTS_FILE        age's public keys, to which they are encrypted
  REPLYCO_BACKUP_BLOB_FOLDER            the folder of REPLYCO_BLOB_URL; unset with a bucket
  REPLYCO_BACKUP_KEY_FILES              the key files, separated by spaces; unset, no keys are backed up here
  REPLYCO_BACKUP_KEYS_FOLDER            where they go: not into REPLYCO_BACKUP_FOLDER
  REPLYCO_BACKUP_KEYS_RECIPIENTS_FILE   age's public keys for these: other ones than for the data
  REPLYCO_BACKUP_DAYS                   how long a backup is kept; 28, at most 29
HELP
}

die() {
  echo "backup.sh: $*" >&2
  exit 1
}

setting() {
  local name=REPLYCO_BACKUP_$1
  [[ -n ${!name:-} ]] || die "$name is not set; backup.sh --help says what it is"
  echo "${!name}"
}

# FILE.new, which is whole, gets its name once it is on the disk.
keep() {
  local file=$1
  sync "$file.new"
  mv "$file.new" "$file"
  sync "$(dirname "$file")"
}

wal() {
  local source=$1 name digest
  name=$(basename "$source")
  digest=$(sha256sum <"$source")
  mkdir -p "$folder/wal"
  if [[ -e $folder/wal/$name.gz.age ]]; then
    # PostgreSQL sends a file once more that it had sent before it crashed.
    [[ $(cat "$folder/wal/$name.sha256") == "$digest" ]] || die "there is another $name: does a second server use this folder?"
    return
  fi
  echo "$digest" >"$folder/wal/$name.sha256.new"
  keep "$folder/wal/$name.sha256"
  gzip -1 <"$source" | age --encrypt --recipients-file "$recipients" >"$folder/wal/$name.gz.age.new"
  keep "$folder/wal/$name.gz.age"
}

ask() {
  psql --no-psqlrc --no-password --quiet --tuples-only --no-align --dbname "${PGDATABASE:-postgres}" --command "$1"
}

base() {
  local begins_with ends_with tries=0 name
  mkdir -p "$folder/base"
  rm -f "$folder"/base/*.new
  begins_with=$(ask "SELECT pg_walfile_name(pg_current_wal_lsn())")
  pg_basebackup --pgdata=- --format=tar --wal-method=none --checkpoint=fast --no-password | gzip -1 |
    age --encrypt --recipients-file "$recipients" >"$folder/base/unfinished.new"
  ends_with=$(ask "SELECT pg_walfile_name(pg_switch_wal())")
  # Without the log up to its end a base backup opens nothing.
  until [[ -e $folder/wal/$ends_with.gz.age ]]; do
    ((++tries <= 3000)) || die "PostgreSQL does not archive its log: look at archive_command and its log"
    sleep 0.2
  done
  name=$(date -u +%Y%m%dT%H%M%S.%6NZ)
  echo "$begins_with" >"$folder/base/$name.wal"
  mv "$folder/base/unfinished.new" "$folder/base/$name.tar.gz.age.new"
  keep "$folder/base/$name.tar.gz.age"
}

# Each file of a folder as SIZE PATH, or as PATH alone.
listed() {
  (cd "$1" && find . -type f -not -name '.*' -printf "$2\0" | sort -z)
}

blobs() {
  local source kept=$folder/blobs ended file
  [[ -n ${REPLYCO_BACKUP_BLOB_FOLDER:-} ]] || return 0
  source=$(realpath "$REPLYCO_BACKUP_BLOB_FOLDER")
  [[ -d $source ]] || die "REPLYCO_BACKUP_BLOB_FOLDER names no folder"
  mkdir -p "$kept"
  # What lies there is sealed already. It never changes, but one may have been half written when it was copied.
  while IFS= read -r -d '' file; do
    file=${file#* }
    mkdir -p "$kept/$(dirname "$file")"
    # It may have ended since it was listed.
    if cp --preserve=timestamps "$source/$file" "$kept/.new" 2>/dev/null; then
      mv "$kept/.new" "$kept/$file"
    elif [[ -e $source/$file ]]; then
      die "cannot copy a blob: may this user read REPLYCO_BACKUP_BLOB_FOLDER, and is there room?"
    fi
  done < <(comm -z -23 <(listed "$source" '%s %p') <(listed "$kept" '%s %p'))
  ended=$folder/blobs-ended/$(date -u +%Y%m%d)
  while IFS= read -r -d '' file; do
    mkdir -p "$ended/$(dirname "$file")"
    mv "$kept/$file" "$ended/$file"
  done < <(comm -z -13 <(listed "$source" %p) <(listed "$kept" %p))
  sync -f "$folder"
}

keys() {
  local target newest digest name file
  local -a files
  [[ -n ${REPLYCO_BACKUP_KEY_FILES:-} ]] || return 0
  read -r -a files <<<"$REPLYCO_BACKUP_KEY_FILES"
  target=$(realpath -m "$(setting KEYS_FOLDER)")
  [[ $target/ != "$folder"/* ]] || die "REPLYCO_BACKUP_KEYS_FOLDER lies in REPLYCO_BACKUP_FOLDER: who reads one reads both"
  ! cmp -s "$(setting KEYS_RECIPIENTS_FILE)" "$recipients" ||
    die "REPLYCO_BACKUP_KEYS_RECIPIENTS_FILE is that of the data: who opens one opens both"
  for file in "${files[@]}"; do [[ -r $file ]] || die "a file of REPLYCO_BACKUP_KEY_FILES cannot be read"; done
  mkdir -p "$target"
  # Keys are random: their hash tells nothing of them.
  digest=$(sha256sum "${files[@]}" | sha256sum)
  newest=$(find "$target" -name '*.sha256' | sort | tail -n 1)
  [[ -z $newest || $(cat "$newest") != "$digest" ]] || return 0
  name=$(date -u +%Y%m%dT%H%M%S.%6NZ)
  tar --create --absolute-names --transform 's|.*/||' "${files[@]}" |
    age --encrypt --recipients-file "$(setting KEYS_RECIPIENTS_FILE)" >"$target/$name.tar.age.new"
  keep "$target/$name.tar.age"
  echo "$digest" >"$target/$name.sha256"
}

# What is older than REPLYCO_BACKUP_DAYS, but for the newest base backup and the log that the oldest kept one needs.
expire() {
  local days=${REPLYCO_BACKUP_DAYS:-28} before first file
  local -a bases
  before=$(date -u -d "$days days ago" +%Y%m%dT%H%M%S.%6NZ)
  mapfile -t bases < <(find "$folder/base" -name '*.tar.gz.age' -printf '%f\n' | sort)
  ((${#bases[@]})) || return 0
  while ((${#bases[@]} > 1)) && [[ ${bases[0]} < $before ]]; do
    rm -f "$folder/base/${bases[0]}" "$folder/base/${bases[0]%.tar.gz.age}.wal"
    bases=("${bases[@]:1}")
  done
  first=$(cat "$folder/base/${bases[0]%.tar.gz.age}.wal")
  while IFS= read -r file; do
    # The first eight digits are the timeline; its history is kept.
    [[ $file == *.history.* || ${file:8:16} > ${first:8:16} || ${file:8:16} == "${first:8:16}" ]] || rm -f "$folder/wal/$file"
  done < <(find "$folder/wal" -type f -printf '%f\n')
  [[ ! -d $folder/blobs-ended ]] || find "$folder/blobs-ended" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' |
    while IFS= read -r file; do [[ ! $file < ${before%T*} ]] || rm -rf "${folder:?}/blobs-ended/$file"; done
}

status() {
  local newest age_seconds failed is_good=0
  newest=$(find "$folder/base" -name '*.tar.gz.age' -printf '%f\n' | sort | tail -n 1)
  [[ -n $newest ]] || die "there is no base backup"
  newest=${newest%%.*}
  age_seconds=$(($(date +%s) - $(date -u -d "${newest:0:8} ${newest:9:2}:${newest:11:2}:${newest:13:2}Z" +%s)))
  echo "base backups: $(find "$folder/base" -name '*.tar.gz.age' | wc -l), the newest $((age_seconds / 3600)) hours old"
  ((age_seconds < 2 * 86400)) || is_good=1
  failed=$(ask "SELECT current_setting('archive_mode') = 'off' OR coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) FROM pg_stat_archiver")
  if [[ $failed == t ]]; then
    echo "the log is not archived: look at archive_mode, archive_command and PostgreSQL's log"
    is_good=1
  else
    echo "the log is archived: $(ask "SELECT coalesce(last_archived_time::text, 'nothing yet') FROM pg_stat_archiver")"
  fi
  return "$is_good"
}

case ${1:-all} in
-h | --help)
  usage
  exit
  ;;
esac
folder=$(realpath -m "$(setting FOLDER)")
recipients=$(setting RECIPIENTS_FILE)
[[ ${REPLYCO_BACKUP_DAYS:-28} =~ ^([1-9]|1[0-9]|2[0-9])$ ]] ||
  die "REPLYCO_BACKUP_DAYS is not a number from 1 to 29: with the day between two backups, personal data may be kept 30 days"
case ${1:-all} in
wal | status) ;;
*)
  # One run at a time; the log goes on beside it.
  mkdir -p "$folder"
  exec 9>"$folder/.lock"
  flock 9
  ;;
esac
case ${1:-all} in
all)
  base
  # After the database: a row whose blob is missing is worse than a blob without a row.
  blobs
  keys
  expire
  ;;
base | blobs | keys | expire | status) "$1" ;;
wal) wal "${2:?backup.sh wal FILE}" ;;
*)
  usage >&2
  exit 2
  ;;
esac
