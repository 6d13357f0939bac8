"""Every fenced snippet of every document does what it says, and a broken one would be found.

The Python of the client's README has a test of its own: `tests/client/test_readme.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from command import DevService
from snippets import (
    ROOT,
    Broken,
    Snippet,
    all_snippets,
    check_console,
    check_manifest,
    check_python,
    check_shell,
    documents,
    snippets,
)

README = ROOT / "README.md"
CLIENT = ROOT / "clients" / "python" / "README.md"
LANGUAGES = {"yaml", "python", "console", "sh", "text"}
PYTHON = [each for each in all_snippets("python") if each.path != CLIENT]


def test_every_fence_names_its_language_and_is_closed() -> None:
    assert {
        str(each): each.language for each in all_snippets() if each.language not in LANGUAGES
    } == {}
    for path in documents():
        fences = sum(line.lstrip().startswith("```") for line in path.read_text().splitlines())
        assert fences == 2 * len(list(snippets(path.read_text(), path))), path


def test_there_is_something_of_every_language() -> None:
    assert {each.language for each in all_snippets()} == LANGUAGES


@pytest.mark.parametrize("snippet", all_snippets("yaml"), ids=str)
def test_a_manifest_loads_and_builds(snippet: Snippet, tmp_path: Path) -> None:
    assert check_manifest(snippet.text, tmp_path)


@pytest.mark.parametrize("snippet", PYTHON, ids=str)
async def test_python_runs(
    snippet: Snippet, dev: DevService, capsys: pytest.CaptureFixture[str]
) -> None:
    await check_python(snippet.text, dev)
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("snippet", all_snippets("console"), ids=str)
def test_a_console_session_runs_and_says_something(snippet: Snippet, dev: DevService) -> None:
    assert check_console(snippet.text, dev)


@pytest.mark.parametrize("snippet", all_snippets("sh"), ids=str)
def test_a_command_has_the_options_that_are_shown(snippet: Snippet) -> None:
    assert check_shell(snippet.text)


def test_the_readme_shows_a_connector_in_12_lines_and_a_call_in_5() -> None:
    manifest, call = (
        next(each for each in snippets(README.read_text()) if each.language == language)
        for language in ("yaml", "python")
    )
    assert manifest.text.count("\n") <= 12
    assert call.text.count("\n") <= 5


GOOD = "interlace: 1\nconnector: a\nupstream: {memory: m}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace("memory", "memroy"), "IL116"),
        (GOOD + "policy: {retries: 3}\n", "retry.attempts"),
        (GOOD + "policy: nowhere\n", "IL130"),
        ("interlace: 1\npolicies: {}\n", "no connector"),
    ],
)
def test_a_broken_manifest_is_found(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(Broken, match=told):
        check_manifest(text, tmp_path)


CALL = """\
from interlace import Client

async with Client("127.0.0.1:7070") as interlace:
    print((await interlace.call("shop", "GetProduct", {"id": "p001"})).json()["name"])
"""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (CALL.replace("GetProduct", "GetProdct"), "UNKNOWN_OPERATION"),
        (CALL.replace('["name"]', '["title"]'), "KeyError"),
        (CALL.replace("import Client", "import Clent"), "ImportError"),
        (CALL.replace("async with", "with"), "TypeError|AttributeError"),
        (CALL.replace("print((", "print("), "SyntaxError"),
        (CALL.replace("127.0.0.1:7070", "interlace.example:443"), "no address"),
    ],
)
async def test_broken_python_is_found(text: str, told: str, dev: DevService) -> None:
    await check_python(CALL, dev)
    with pytest.raises(Broken, match=told):
        await check_python(text, dev)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("$ interlace call shop.GetProdct\n", "ended with 69"),
        ("$ interlace call shop.GetProduct --product p001\n", "ended with 2"),
        ("interlace version\n", "expected `\\$ interlace"),
    ],
)
def test_a_broken_console_session_is_found(text: str, told: str, dev: DevService) -> None:
    with pytest.raises(Broken, match=told):
        check_console(text, dev)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("make tset\n", "no such target"),
        ("interlace servee --config x\n", "no such verb"),
        ("interlace serve --confg x\n", "No such option"),
        ("interlace serve\n", "Missing parameter: config"),
        ("interlace serve --config x --port many\n", "many"),
        ("pip install interlacer\n", "no package of ours"),
        ("rm -rf build\n", "nobody checks"),
    ],
)
def test_a_broken_command_is_found(text: str, told: str) -> None:
    check_shell(
        "make test  # a comment\ninterlace lint ./connectors\npip install interlaced[nats]\n"
    )
    with pytest.raises(Broken, match=told):
        check_shell(text)


def test_a_fence_that_is_indented_is_found() -> None:
    text = "1. a step\n   ```sh\n   make test\n   ```\n\n```yaml\na: 1\n```\n"
    assert [(each.line, each.language) for each in snippets(text)] == [(2, "sh"), (6, "yaml")]
