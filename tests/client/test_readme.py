"""Every snippet of the package's README is executed, as it stands there."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority

from interlace import Client
from interlace.testing import Failed, FakeServer

README = Path(__file__).resolve().parents[2] / "clients" / "python" / "README.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", README.read_text(), re.S)


def section(snippet: str) -> str:
    first = snippet.strip().splitlines()[-1].strip()
    return first[:40]


async def execute(snippet: str, names: dict[str, Any], limit: float = 1.0) -> None:
    """Runs a snippet with top-level await; one that never ends is cancelled after a while."""
    code = compile(snippet, str(README), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    running = eval(code, names)
    if not inspect.iscoroutine(running):
        return
    try:
        async with asyncio.timeout(limit):
            await running
    except TimeoutError:
        assert "async for" in snippet, "only a subscription never ends"


def script(server: FakeServer) -> None:
    def product(call: Any) -> object:
        if call.parameters["id"] == "nothing":
            return Failed("UPSTREAM_NOT_FOUND")
        return {"name": "Lamp"}

    server.on("shop", "GetProduct", product)
    server.on("shop", "GetStock", {"stock": 3})
    server.sink("shop.Orders")
    server.feed("shop.Orders").emit({"total": 1}, {"total": -1})


def test_the_readme_has_the_snippets_that_it_promises() -> None:
    assert len(SNIPPETS) == 10


async def test_every_snippet_does_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Authority(tmp_path)
    monkeypatch.chdir(tmp_path)
    async with FakeServer() as server:
        script(server)
        async with Client(server.target) as client:
            names: dict[str, Any] = {"client": client}
            for snippet in SNIPPETS:
                here = snippet.replace("127.0.0.1:7070", server.target)
                if "first_new" in here:
                    server.feed("shop.Orders").emit({"total": 2})
                await execute(here, names)
                if "Client(" in here:
                    names["client"] = client
            await names["secured"].close()
            assert names["first_new"].json() == {"total": 2}
            assert names["product"].json() == {"name": "Lamp"}
            assert len(names["products"]) == 100
        dead = server.feed("shop.Orders").dead
        assert [cause for _, cause in dead] == ["tried three times"]
    told = capsys.readouterr().out
    assert "Lamp" in told
    assert "UPSTREAM_NOT_FOUND" in told
    assert "True False" in told
