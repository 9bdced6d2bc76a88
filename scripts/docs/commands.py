"""The reference of the command line: every command with its options, read from Click."""

import inspect
from collections.abc import Iterator

import click

from pipelines.cli.main import cli

_INTRODUCTION = """# Command line

Every command of `skymill`, as `skymill COMMAND --help` prints it. Exit codes: 0 done, 1 failed,
2 wrong call or configuration, 3 a gate blocked the run.
"""


def commands_page() -> str:
    """Returns the page as Markdown."""
    return "\n".join([_INTRODUCTION, *(_section(context) for context in commands())])


def commands() -> Iterator[click.Context]:
    """Yields every command that is not a group, in the order of `skymill --help`."""
    waiting = [click.Context(cli, info_name="skymill")]
    while waiting:
        context = waiting.pop(0)
        command = context.command
        if not isinstance(command, click.Group):
            yield context
            continue
        found = [
            (name, command.get_command(context, name)) for name in command.list_commands(context)
        ]
        waiting[:0] = [
            click.Context(inner, parent=context, info_name=name) for name, inner in found if inner
        ]


def _section(context: click.Context) -> str:
    command = context.command
    lines = [f"## {context.command_path}", "", "```text", _usage(context), "```", ""]
    lines += [_help(command.help or ""), ""]
    rows = [row for option in command.get_params(context) if (row := _row(option, context))]
    if rows:
        lines += ["| | |", "|---|---|", *rows, ""]
    return "\n".join(lines)


def _usage(context: click.Context) -> str:
    return " ".join([context.command_path, *context.command.collect_usage_pieces(context)])


def _help(text: str) -> str:
    """Converts a command's help to Markdown; a paragraph that Click does not rewrap is a block."""
    paragraphs = []
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b\n"):
            paragraph = f"```text\n{paragraph[2:]}\n```"
        paragraphs.append(paragraph)
    return "\n\n".join(paragraphs)


def _row(option: click.Parameter, context: click.Context) -> str:
    """Returns an option's row of the table; arguments are in the usage line."""
    record = option.get_help_record(context)
    if record is None or isinstance(option, click.Argument) or "--help" in option.opts:
        return ""
    names, text = (" ".join(part.split()).replace("|", "\\|") for part in record)
    return f"| `{names}` | {text} |"
