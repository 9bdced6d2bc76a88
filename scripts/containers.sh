#!/bin/sh
# As root on Debian, installs what tests/containers need to start a Docker engine, if it is missing.
# Elsewhere it does nothing, and the tests say what they lack.
set -eu
missing=""
for program in dockerd containerd runc mmdebstrap; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
if [ -z "${SKYMILL_DOCKER_HOST:-}" ] && [ -n "$missing" ] && [ "$(id -u)" = 0 ] &&
    command -v apt-get >/dev/null; then
    echo "Installing the missing parts of a Docker engine:$missing ..."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends \
        docker.io containerd runc mmdebstrap >/dev/null
fi
