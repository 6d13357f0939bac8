"""A draft notes problems at keys and values."""

from interlaced.manifest.codes import Code
from interlaced.manifest.draft import Draft
from interlaced.manifest.files import ManifestFile
from interlaced.manifest.references import Resolved
from interlaced.manifest.source import MapNode, read_source


def draft(text: str) -> Draft:
    source = read_source("folder/x.yaml", text.encode())
    (node,) = source.documents
    assert isinstance(node, MapNode)
    return Draft(ManifestFile(source), node, Resolved(data={"connector": "9x"}))


def test_problems_are_noted_at_the_key_or_the_value() -> None:
    document = draft("connector: 9x\nupstream: {a: 1}\n")
    document.note(("connector",), Code.BAD_VALUE, "m")
    document.note_value(("connector",), Code.BAD_VALUE, "m")
    document.note_value(("upstream",), Code.BAD_VALUE, "m")
    places = [each.span and (each.span.line, each.span.column) for each in document.file.findings]
    assert places == [(0, 0), (0, 11), (1, 0)]
    assert document.file_name == "x.yaml"


def test_a_name_is_checked() -> None:
    document = draft("connector: 9x\n")
    assert document.check_name("shop-1_x", ("connector",))
    assert not document.check_name("9x", ("connector",))
    assert not document.check_name(None, ("connector",), is_key=True)
    assert [each.code for each in document.file.findings] == [Code.BAD_NAME] * 2


def test_a_broken_value_is_known() -> None:
    document = draft("connector: 9x\n")
    assert not document.is_broken(("connector",))
    document.resolved.broken.add(id(document.node.entries["connector"].value))
    assert document.is_broken(("connector",))
