#!/usr/bin/env bash
# Builds the image from this clone with podman, buildah or docker: deploy/image/build.sh NAME[:TAG] [OPTION OF THE BUILDER …]
# BASE names the base image by its digest, such as docker.io/library/python:3.13-slim-trixie@sha256:…
# Options are for whoever gets packages from a proxy: --secret id=pip.conf,src=/etc/pip.conf, and, for its authority, --secret id=ca.pem,src=…
set -euo pipefail
cd "$(dirname "$0")/../.."

name=${1:?usage: BASE=IMAGE@sha256:… deploy/image/build.sh NAME[:TAG] [OPTION …]}
shift
if [[ ${BASE:-} != *@sha256:* ]]; then
  echo "Set BASE to a base image with its digest, so that the image can be built again, such as" >&2
  echo "  docker.io/library/python:3.13-slim-trixie@sha256:…" >&2
  echo "\`skopeo inspect --format '{{.Digest}}' docker://docker.io/library/python:3.13-slim-trixie\` prints today's." >&2
  echo "Without a registry of images, deploy/image/debian-base.sh makes one out of Debian's packages." >&2
  exit 2
fi
for builder in podman buildah docker; do
  command -v "$builder" >/dev/null && break
done
command -v "$builder" >/dev/null || { echo "No podman, buildah or docker is installed." >&2; exit 2; }

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
# What is built of changes that no commit has says so.
revision=$(git rev-parse HEAD)
[[ -z $(git status --porcelain --untracked-files=all) ]] || revision+=-dirty
# A health check is no part of OCI's format; podman and buildah keep it in docker's. With the commit's time for all files, the same commit,
# base and packages make the same image.
options=()
[[ $builder == docker ]] || options+=(--format docker --timestamp "$(git log -1 --format=%ct)")
exec "$builder" build "${options[@]}" "$@" --file deploy/image/Containerfile --tag "$name" \
  --build-arg "BASE=$BASE" --build-arg "VERSION=$version" --build-arg "REVISION=$revision" .
