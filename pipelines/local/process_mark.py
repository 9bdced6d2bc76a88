"""Mark that distinguishes a process from a later one with the same id (Linux only)."""

from pathlib import Path

_AFTER_NAME_TO_START = 19  # from field 3, the state, to field 22 of proc_pid_stat(5)


def mark_of(process_id: int) -> str:
    """Returns the machine's boot id and the process's start time, in ticks since that boot.

    Process ids restart with each boot and in each container, and are reused.

    Returns:
        ``<boot>/<ticks>``; empty where the system does not report it or no such process exists.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        status = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name before it may contain spaces and brackets.
    return f"{boot}/{status.rpartition(')')[2].split()[_AFTER_NAME_TO_START]}"
