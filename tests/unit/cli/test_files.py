"""Files that options name: what is wrong with one is said, what it holds is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from certificates import Authority

from interlaced.cli.files import check_ca, check_certificate, read_api_key, read_file, read_keys
from interlaced.cli.output import CommandError, Exit


def refusal(code: int, text: str) -> pytest.RaisesExc[CommandError]:
    return pytest.RaisesExc(CommandError, match=text, check=lambda error: error.code == code)


def test_none_stays_none() -> None:
    assert read_file(None) is None
    assert read_keys(None) == ()
    assert read_api_key(None) == ""
    check_ca(None)
    check_certificate(None, None)


def test_what_cannot_be_read_is_named_and_the_caller_chooses_the_code(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(CommandError, match=f"{path}: cannot be read") as usual:
            read_file(path)
        with pytest.raises(CommandError, match=f"{path}: cannot be read") as chosen:
            read_keys(path, code=Exit.CONFIG_INVALID)
        assert (usual.value.code, chosen.value.code) == (Exit.USAGE, Exit.CONFIG_INVALID)


def test_keys_stand_one_a_line_between_comments(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# the signing one\nfirst\n\n  second  \n")
    assert [key.reveal() for key in read_keys(path)] == ["first", "second"]
    path.write_text("# none\n")
    with refusal(2, "holds no key"):
        read_keys(path)
    path.write_bytes(b"\xff\xfe")
    with refusal(2, "is no text"):
        read_keys(path)


@pytest.mark.parametrize("text", ["one\ntwo\n", "schlüssel", "a\x07b"])
def test_an_api_key_that_no_header_takes_is_refused_unseen(text: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(CommandError, match="printable ASCII") as refused:
        read_api_key(path)
    assert text not in str(refused.value)
    path.write_text("k-123\n")
    assert read_api_key(path) == "k-123"


def test_certificates_are_looked_at_before_anything_connects(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    chain, key = authority.issue()
    check_ca(authority.certificate)
    check_certificate(chain, key)
    _, other = authority.issue()
    with pytest.raises(CommandError, match="no certificate in PEM") as of_ca:
        check_ca(key)
    with pytest.raises(CommandError, match="plain private key") as of_pair:
        check_certificate(chain, other)
    with pytest.raises(CommandError, match="belong together") as alone:
        check_certificate(chain, None, code=Exit.CONFIG_INVALID)
    codes = [caught.value.code for caught in (of_ca, of_pair, alone)]
    assert codes == [Exit.USAGE, Exit.USAGE, Exit.CONFIG_INVALID]
