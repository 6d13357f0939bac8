"""What a document points at is there: files, headings, and paths between backticks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from snippets import ROOT, documents

DOCUMENTS = documents()
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)*/?)`")
_PLACES = (ROOT, ROOT / "service" / "interlaced", ROOT / "clients" / "python")


def identify(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as the forges make them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.S), re.M)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in kept}


def dead_links(text: str, folder: Path) -> list[str]:
    """The links of a document that lead nowhere; those into the web are not followed."""
    dead = []
    for link in _LINK.findall(text):
        place, _, anchor = link.partition("#")
        if "://" in place or place.startswith("mailto:"):
            continue
        target = (folder / place).resolve() if place else None
        is_dead = target is not None and not target.exists()
        if not is_dead and anchor:
            is_dead = anchor not in anchors(target.read_text() if target else text)
        if is_dead:
            dead.append(link)
    return dead


def missing_paths(text: str) -> list[str]:
    """The paths between backticks that are not there; a `KIND` or `NAME` stands for any."""
    told = {path for path in _PATH.findall(text) if "/" in path or path.endswith((".py", ".md"))}
    return sorted(path for path in told if looks_like_ours(path) and not is_there(path))


def looks_like_ours(path: str) -> bool:
    """Whether a text is a path of the repository, and not a media type or a part of an address."""
    first = path.partition("/")[0]
    return path.endswith((".py", ".md", ".proto")) or any((at / first).is_dir() for at in _PLACES)


def is_there(path: str) -> bool:
    """Whether it is below one of the roots; a bare name may be anywhere below."""
    if path.rstrip("/") in {"build", ".venv"} or path.startswith("build/"):
        return True
    if "/" not in path:
        return any(next(at.rglob(path), None) for at in _PLACES[1:]) or (ROOT / path).exists()
    return any((at / name).exists() for at in _PLACES for name in (path, f"{path}.py"))


@pytest.mark.parametrize("path", DOCUMENTS, ids=identify)
def test_every_link_leads_somewhere(path: Path) -> None:
    assert dead_links(path.read_text(), path.parent) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=identify)
def test_every_path_that_is_named_is_there(path: Path) -> None:
    assert missing_paths(path.read_text()) == []


def test_every_document_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached or path.suffix != ".md":
            continue
        reached.add(path)
        links = (link.partition("#")[0] for link in _LINK.findall(path.read_text()))
        waiting += [(path.parent / link).resolve() for link in links if link and "://" not in link]
    assert [identify(path) for path in DOCUMENTS if path not in reached] == []


def test_a_dead_link_or_path_is_found() -> None:
    text = "# A heading, `here`\n[a](README.md) [b](#a-heading-here) [c](https://x.example/y)\n"
    assert dead_links(text, ROOT) == []
    broken = "[a](READ.md) [b](#elsewhere) [c](README.md#elsewhere)"
    assert dead_links(text + broken, ROOT) == ["READ.md", "#elsewhere", "README.md#elsewhere"]
    assert missing_paths("`core/feed.py`, `application/json`, `tests/unit/`") == []
    assert missing_paths("`core/fed.py`, `tests/unitt/`") == ["core/fed.py", "tests/unitt/"]
