"""The `interlace` command: puts the groups of verbs together and turns errors into exit codes."""

import sys
from collections.abc import Sequence

import typer

from interlaced.cli import ask, bench, configure, listen, serve
from interlaced.cli.output import CommandError, Exit, say

__all__ = ["main"]

app = typer.Typer(
    name="interlace",
    help="Ask, fan out, listen and tell: one service between yours and everything outside.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `interlace dev`, then `interlace call shop.ListProducts`.",
)
for group in (serve, configure, ask, listen, bench):
    group.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits; a foreseen error shows one line and no traceback."""
    try:
        app(args=list(arguments) if arguments is not None else None, prog_name="interlace")
    except CommandError as error:
        say(f"interlace: {error}")
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
