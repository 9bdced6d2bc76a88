"""Runs one side of `benchmarks.pipeline`, in a process of its own: SIDE FOLDER NUMBER."""

import sys


def main() -> None:
    """Runs the side; each imports only what it needs."""
    side, folder, number = sys.argv[1:]
    if side in ("prepare", "ours"):
        from benchmarks import pipeline_ours

        pipeline_ours.prepare(folder) if side == "prepare" else pipeline_ours.run(folder, number)
    else:
        from benchmarks import pipeline_stock

        args = ("--sdk_container_image=unused",) if side == "unpacked" else ()
        pipeline_stock.run(folder, number, *args)


if __name__ == "__main__":
    main()
