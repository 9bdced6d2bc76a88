"""What tells a process from a later one of the same id (Linux; elsewhere nothing does)."""

from pathlib import Path

_AFTER_NAME_TO_START = 19  # from field 3, the state, to field 22 of proc_pid_stat(5)


def mark_of(process_id: int) -> str:
    """The id of the machine's boot and when the process started, in ticks since then.

    Ids begin anew with each boot and in each container, and repeat.

    Returns:
        ``<boot>/<ticks>``; empty where the system does not tell, or there is no such process.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        told = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name before may hold spaces and brackets of its own.
    return f"{boot}/{told.rpartition(')')[2].split()[_AFTER_NAME_TO_START]}"
