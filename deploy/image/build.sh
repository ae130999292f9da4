#!/usr/bin/env bash
# Builds the image from this clone with podman, buildah or docker: deploy/image/build.sh NAME[:TAG]
# BASE names the base image by its digest, such as docker.io/library/python:3.13-slim-trixie@sha256:…
set -euo pipefail
cd "$(dirname "$0")/../.."

name=${1:?usage: BASE=IMAGE@sha256:… deploy/image/build.sh NAME[:TAG]}
if [[ ${BASE:-} != *@sha256:* ]]; then
  echo "Set BASE to a base image with its digest, so that the image can be built again, such as" >&2
  echo "  docker.io/library/python:3.13-slim-trixie@sha256:…" >&2
  echo "\`skopeo inspect --format '{{.Digest}}' docker://docker.io/library/python:3.13-slim-trixie\` prints today's." >&2
  exit 2
fi
for builder in podman buildah docker; do
  command -v "$builder" >/dev/null && break
done
command -v "$builder" >/dev/null || { echo "No podman, buildah or docker is installed." >&2; exit 2; }

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
# A health check is no part of OCI's format; podman and buildah keep it in docker's.
options=()
[[ $builder == docker ]] || options+=(--format docker)
exec "$builder" build "${options[@]}" --file deploy/image/Containerfile --tag "$name" \
  --build-arg "BASE=$BASE" --build-arg "VERSION=$version" --build-arg "REVISION=$(git rev-parse HEAD)" .
