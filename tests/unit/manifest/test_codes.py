"""Every code is explained, and the table holds nothing else."""

import pytest

from interlaced.manifest.codes import CODES, Code, Severity, explain_code


@pytest.mark.parametrize("code", list(Code))
def test_every_code_is_explained(code: Code) -> None:
    about = CODES[code]
    assert about.title
    assert about.text.endswith((".", "'interlaced[nats]'."))
    text = explain_code(code.value)
    assert text is not None
    assert text.startswith(f"{code}  {about.title} ({about.severity})")


def test_codes_are_stable_and_unique() -> None:
    assert len({code.value for code in Code}) == len(Code) == len(CODES)
    assert (Code.UNKNOWN_KEY.value, Code.DUPLICATE_KEY.value) == ("IL112", "IL103")
    assert all(code.value.startswith("IL1") and len(code.value) == 5 for code in Code)


def test_a_code_is_found_in_any_case_and_an_unknown_one_is_none() -> None:
    assert explain_code("il112") == explain_code("IL112")
    assert explain_code("IL999") is None


def test_warnings_are_few_and_known() -> None:
    warnings = {code for code, about in CODES.items() if about.severity is Severity.WARNING}
    assert warnings == {
        Code.NO_MANIFEST,
        Code.UNUSED_POLICY,
        Code.UNSAFE_RETRY,
        Code.ATTEMPT_OVER_DEADLINE,
        Code.WAIT_OVER_DEADLINE,
        Code.WRITTEN_SECRET,
    }
