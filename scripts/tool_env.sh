#!/bin/sh
# Installs requirements/NAME.txt into a separate environment, .tools/NAME, and prints its folder.
set -eu
home=.tools/$1
if [ ! "$home/.ready" -nt "requirements/$1.txt" ]; then
    .tools/uv/bin/uv venv --quiet --clear --python .venv/bin/python "$home"
    .tools/uv/bin/uv pip sync --quiet --python "$home/bin/python" --require-hashes \
        "requirements/$1.txt"
    touch "$home/.ready"
fi
echo "$home"
