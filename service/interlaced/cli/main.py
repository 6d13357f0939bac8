"""The `interlace` command: puts the groups of verbs together and turns errors into exit codes."""

import importlib
import sys
from collections.abc import Sequence

import typer

from interlaced.cli import serve
from interlaced.cli.output import CommandError, Exit, say

__all__ = ["build", "main"]

_GROUPS = ("serve", "configure", "ask", "listen", "bench")


def build(verb: str = "") -> typer.Typer:
    """Returns the command with all its verbs, or with those beside `verb` alone where it is one
    that runs a server: a server boots without loading the client that the others ask with."""
    app = typer.Typer(
        name="interlace",
        help="Ask, fan out, listen and tell: one service between yours and everything outside.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Start with `interlace dev`, then `interlace call shop.ListProducts`.",
    )
    for name in ("serve",) if verb in serve.VERBS else _GROUPS:
        importlib.import_module(f"interlaced.cli.{name}").register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits; a foreseen error shows one line and no traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        build(*words[:1])(args=words, prog_name="interlace")
    except CommandError as error:
        say(f"interlace: {error}")
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
