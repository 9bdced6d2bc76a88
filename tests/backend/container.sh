#!/bin/sh
# container.sh ROOT FOLDERS TARGETS -- COMMAND: runs a command as a container does, in a mount and process
# namespace of its own. ROOT is an empty folder, FOLDERS lists what of the machine is seen besides the
# system's own (one a line), TARGETS a source and a target of a mount (one pair a line, with a tab).
# /tmp, /run, /var and all that the system does not have are the container's own and empty.
set -eu
root=$1 folders=$2 targets=$3
shift 4
mount -t tmpfs container "$root"
for entry in bin etc lib lib64 sbin usr dev sys; do
    if [ -L "/$entry" ]; then
        cp -P "/$entry" "$root/"
    elif [ -d "/$entry" ]; then
        mkdir "$root/$entry"
        mount --rbind "/$entry" "$root/$entry"
    fi
done
mkdir -m 1777 "$root/tmp"
mkdir "$root/run" "$root/var" "$root/proc"
ln -s ../run "$root/var/run"
mount -t proc container "$root/proc"
while IFS='	' read -r source target; do
    if [ -d "$source" ]; then
        mkdir -p "$root$target"
    elif [ ! -e "$root$target" ]; then
        mkdir -p "$(dirname "$root$target")"
        : >"$root$target"
    fi
    mount --bind "$source" "$root$target"
done <"$targets"
# Last, since a volume at /tmp would hide what lies there.
while IFS= read -r folder; do
    mkdir -p "$root$folder"
    mount --rbind "$folder" "$root$folder"
done <"$folders"
exec chroot "$root" "$@"
