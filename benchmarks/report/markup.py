"""HTML by hand. What comes from data is escaped here; nowhere else is a text made markup."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from itertools import takewhile

__all__ = [
    "Cell",
    "Safe",
    "aside",
    "code",
    "escape",
    "figure",
    "folded",
    "paragraph",
    "section",
    "strong",
    "table",
]


class Safe(str):
    """A text that is markup already."""

    __slots__ = ()


Cell = str | Safe
"""What a cell of a table holds: a text, which is escaped, or markup."""


def escape(text: str) -> Safe:
    """Return a text as markup that shows it; markup stays as it is."""
    return text if isinstance(text, Safe) else Safe(html.escape(text, quote=True))


def strong(text: str) -> Safe:
    """Return a text with weight."""
    return Safe(f"<strong>{escape(text)}</strong>")


def aside(text: str) -> Safe:
    """Return a text that stands back behind the figure before it."""
    return Safe(f'<span class="aside">{escape(text)}</span>')


def code(text: str) -> Safe:
    """Return a text as code."""
    return Safe(f"<code>{escape(text)}</code>")


def paragraph(text: Cell, *, kind: str = "") -> Safe:
    """Return a paragraph, of a class of the page where one is given."""
    return Safe(f"<p{_class(kind)}>{escape(text)}</p>")


def section(anchor: str, heading: str, parts: Iterable[str]) -> Safe:
    """Return a section under its heading, reachable by its anchor."""
    name = escape(anchor)
    return Safe(
        f'<section id="{name}" aria-labelledby="{name}-h"><h2 id="{name}-h">{escape(heading)}</h2>'
        f"{''.join(parts)}</section>"
    )


def figure(plot: str, caption: Cell, *, beneath: str = "") -> Safe:
    """Return a plot, which is markup, under its caption and above what is markup as well."""
    return Safe(f"<figure><figcaption>{escape(caption)}</figcaption>{plot}{beneath}</figure>")


def folded(summary: str, content: str) -> Safe:
    """Return markup that is unfolded by a click, or by a reader of screens."""
    return Safe(f"<details><summary>{escape(summary)}</summary>{content}</details>")


def table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]], *, words: int = 1
) -> Safe:
    """Return a table; the first `words` hold words, the others numbers, set to the right.

    A row whose first cell is empty belongs to the one above it, whose name stands for both.
    """
    head = "".join(
        f'<th scope="col"{_class("" if index < words else "n")}>{escape(text)}</th>'
        for index, text in enumerate(heads)
    )
    every = list(rows)
    body = "".join(
        _row(cells, words, _reach(every[index + 1 :])) for index, cells in enumerate(every)
    )
    return Safe(
        f'<div class="scroll" role="region" aria-label="{escape(caption)}" tabindex="0"><table>'
        f"<caption>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _reach(beneath: Sequence[Sequence[Cell]]) -> int:
    """How many rows a name stands for."""
    return 1 + sum(1 for _ in takewhile(lambda cells: not cells[0], beneath))


def _row(cells: Sequence[Cell], words: int, reach: int) -> str:
    first, *others = cells
    rest = "".join(
        f"<td{_class('' if index < words else 'n')}>{escape(cell)}</td>"
        for index, cell in enumerate(others, 1)
    )
    if not first:
        return f'<tr class="same">{rest}</tr>'
    rows = f' rowspan="{reach}"' if reach > 1 else ""
    return f'<tr><th scope="{"rowgroup" if rows else "row"}"{rows}>{escape(first)}</th>{rest}</tr>'


def _class(kind: str) -> str:
    return f' class="{escape(kind)}"' if kind else ""
