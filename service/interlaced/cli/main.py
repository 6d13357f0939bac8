"""The `interlace` command: puts the groups of verbs together and turns errors into exit codes."""

import os
import sys
from collections.abc import Sequence

import typer

from interlaced.cli import ask, configure, listen, serve, tell
from interlaced.cli.output import CommandError, Exit, say

__all__ = ["main"]

app = typer.Typer(
    name="interlace",
    help="Ask, fan out, listen and tell: the service between your own services and everything outside.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `interlace dev`, then `interlace call shop.ListProducts`.",
)
for group in (serve, configure, ask, listen, tell):
    group.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits; never shows a traceback of a foreseen error."""
    try:
        code = app(args=list(arguments) if arguments is not None else None, standalone_mode=False)
    except CommandError as error:
        say(f"interlace: {error}")
        code = error.code
    except typer.Exit as ending:
        code = ending.exit_code
    except (typer.Abort, KeyboardInterrupt):
        code = Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough; Python must not complain while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.OK
    except Exception as error:
        code = _usage(error)
    sys.exit(int(code or 0))


def _usage(error: Exception) -> int:
    """Shows what is wrong with the command line; anything else is raised again."""
    show = getattr(error, "show", None)
    if show is None:
        raise error
    show()
    return int(Exit.USAGE)
