#!/bin/sh
# Finds a suitable Python and does the set-up with it (bootstrap.py). If $PYTHON is set, it is the
# only candidate; otherwise the system's own python3 comes first, then the newest Python.
set -eu
cd "$(dirname "$0")/.."

suits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'
can_install='import importlib.util as u; raise SystemExit(not (u.find_spec("pip") or u.find_spec("ensurepip")))'
suitable=""
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    "$candidate" -c "$suits" 2>/dev/null || continue
    suitable=$candidate
    if "$candidate" -c "$can_install"; then
        exec "$candidate" -m scripts.bootstrap
    fi
done

if [ -n "$suitable" ]; then
    echo "set-up: $suitable has neither pip nor ensurepip; install one, for example: apt install python3-venv" >&2
elif [ -n "${PYTHON:-}" ]; then
    echo "set-up: PYTHON=$PYTHON is $("$PYTHON" --version 2>&1 || true); Skymill needs Python 3.11, 3.12 or 3.13" >&2
else
    echo "set-up: found no Python 3.11, 3.12 or 3.13; install one (apt install python3 python3-venv) or name it: make PYTHON=/path/to/python3.11" >&2
fi
exit 1
