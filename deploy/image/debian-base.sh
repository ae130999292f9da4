#!/usr/bin/env bash
# Makes a base image out of Debian's packages, for where no registry of images is reached or trusted: deploy/image/debian-base.sh FILE.tar
# It has Python, the certificates of authorities and what wheels are linked with, and neither apt nor a compiler. Debian's signatures are checked.
# RELEASE is the release of Debian (bookworm). Debian's package mmdebstrap is needed, and root. What it prints at the end builds upon it.
set -euo pipefail

file=${1:?usage: [RELEASE=bookworm] deploy/image/debian-base.sh FILE.tar}
command -v mmdebstrap >/dev/null || { echo "Install mmdebstrap (Debian: apt-get install mmdebstrap)." >&2; exit 2; }

# Licences stay; pages of manuals and translations are for no reader there.
mmdebstrap --quiet --variant=essential --include=ca-certificates,libstdc++6,python3,python3-venv \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  "${RELEASE:-bookworm}" "$file"

echo "$file is a base image for podman and buildah:"
echo "  podman import '$file' localhost/replyco-base"
echo "  BASE=\$(podman inspect --format '{{index .RepoDigests 0}}' localhost/replyco-base) deploy/image/build.sh NAME"
