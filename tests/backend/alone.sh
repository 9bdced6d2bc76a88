#!/bin/sh
# Runs a command in a network of its own that has nothing but loopback, where root may make one: ports
# that programs insist on are free there, and nothing listens elsewhere. A cluster of a context is out
# of reach from there, so its tests keep the network that they have.
set -eu
if [ -z "${SKYMILL_BACKEND_CONTEXT:-}" ] && [ "$(id -u)" = 0 ] && command -v unshare ip >/dev/null; then
    exec unshare --net sh -c 'ip link set lo up && exec "$@"' alone "$@"
fi
exec "$@"
