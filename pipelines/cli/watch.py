"""`skymill watch`: starts a run whenever there is new data."""

import os
from typing import TYPE_CHECKING

import click

from pipelines.cli.options import config_argument, json_option, prediction_option

if TYPE_CHECKING:
    from pipelines.config.tree import PipelineConfig
    from pipelines.definition.kinds import Kind
    from pipelines.watch.metrics import Gauges
    from pipelines.watch.report import Report
    from pipelines.watch.state import WatchState
    from pipelines.watch.state_store import StateStore
    from pipelines.watch.watcher import Watcher


@click.command()
@config_argument
@click.option("--once", is_flag=True, help="Do what is due now, then end; for a CronJob.")
@click.option("--status", is_flag=True, help="Print the state of the watch and do nothing else.")
@click.option("--again", is_flag=True, help="Request another run for the existing data.")
@click.option("--skip", is_flag=True, help="Start no run for the existing data.")
@click.option(
    "--log",
    "log_format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Format of the events on standard error.",
)
@prediction_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    config_path: str,
    once: bool,
    status: bool,
    again: bool,
    skip: bool,
    log_format: str,
    kind: "Kind",
    as_json: bool,
) -> None:
    """Start a run of CONFIG (default: skymill.yaml) whenever there is new data.

    There is one run for each state of the data, however many watchers there are. On SIGTERM the
    watch ends with 0. --once ends with 0 when everything that was due is done, even if nothing was,
    and with 1 if the source, the state or the target cannot be reached; the next call continues
    from there.
    """
    from pipelines.config.tree import load_config

    if sum((once, status, again, skip)) > 1:
        raise click.UsageError("choose one of --once, --status, --again and --skip")
    config = load_config(config_path)
    if status or again or skip:
        _state(config, kind, again, skip, as_json)
        return
    from pipelines.definition.written_folders import require_writable, written_folders
    from pipelines.watch.metrics import Gauges

    if config.watch.target == "local":
        require_writable(written_folders(config, kind))
    gauges = Gauges()
    watcher = _watcher(config, config_path, kind, _report(log_format, gauges))
    if once:
        state = watcher.step()
        ctx.exit(1 if state.active and state.active.error else 0)
    _follow(config, kind, watcher, gauges)


def _state(config: "PipelineConfig", kind: "Kind", again: bool, skip: bool, as_json: bool) -> None:
    """Prints the watch's state, or records a user's decision about the current data."""
    from pipelines.definition.kinds import name_of
    from pipelines.watch import transitions
    from pipelines.watch.opening import open_store
    from pipelines.watch.state_store import load, update
    from pipelines.watch.status import print_status

    store = open_store(config, kind)
    state = load(store)
    if (again or skip) and state.active:
        raise click.UsageError("a run is being started or under way; see --status")
    if again and state.current is None:
        raise click.UsageError("the source has not settled yet, so no data are known to ask for")
    if again:
        state = update(store, transitions.marked_new)
    if skip:
        state = _skip(config, kind, store)
    print_status(state, name_of(config, kind), store.place, as_json)


def _skip(config: "PipelineConfig", kind: "Kind", store: "StateStore") -> "WatchState":
    """Marks the current data as done, provided that they did not change while they were read."""
    import time

    from pipelines.watch import transitions
    from pipelines.watch.opening import open_source
    from pipelines.watch.state import WatchError
    from pipelines.watch.state_store import update

    source = open_source(config, kind)
    token, fingerprint = source.look().token, source.fingerprint()
    if source.look().token != token:
        raise WatchError(f"{source.uri}: the source changed while it was read; try again")

    def change(old: "WatchState") -> "WatchState":
        now = time.time()
        seen = transitions.settled(transitions.observed(old, token, now), token, fingerprint)
        return transitions.skipped(seen, now)

    return update(store, change)


def _watcher(
    config: "PipelineConfig", config_path: str, kind: "Kind", report: "Report"
) -> "Watcher":
    from pipelines.definition.kinds import name_of
    from pipelines.watch.opening import open_source, open_store, open_target
    from pipelines.watch.transitions import Rules
    from pipelines.watch.watcher import Watcher

    watch = config.watch
    return Watcher(
        name=name_of(config, kind),
        source=open_source(config, kind),
        store=open_store(config, kind),
        target=open_target(config, config_path, os.environ, kind),
        rules=Rules(watch.settle_s, watch.lease_s),
        retry=watch.retry,
        report=report,
    )


def _report(log_format: str, gauges: "Gauges") -> "Report":
    import time

    from pipelines.watch.report import CombinedReport, LineReport, json_line, text_line

    lines = LineReport({"text": text_line, "json": json_line}[log_format], time.time)
    return CombinedReport(lines, gauges)


def _follow(config: "PipelineConfig", kind: "Kind", watcher: "Watcher", gauges: "Gauges") -> None:
    import contextlib
    import signal

    from pipelines.watch.endpoint import EndpointSettings, served
    from pipelines.watch.events import secret_of
    from pipelines.watch.loop import Waker, WatchLoop
    from pipelines.watch.opening import watched_data

    waker, uri = Waker(), watched_data(config, kind).source.uri
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: waker.stop())
    with contextlib.ExitStack() as stack:
        endpoint = config.watch.endpoint
        if endpoint:
            settings = EndpointSettings(
                wake=waker.wake,
                uri=uri,
                secret=secret_of(endpoint, os.environ),
                check=endpoint.check,
                max_bytes=endpoint.max_bytes,
            )
            port = stack.enter_context(served(settings, gauges, endpoint.host, endpoint.port))
            watcher.report.event("listening", address=f"http://{endpoint.host}:{port}")
        watcher.report.event("watching", source=uri, state=watcher.store.place)
        WatchLoop(watcher, config.watch.poll_s, config.watch.run_poll_s, waker).run()
    watcher.report.event("stopped")
