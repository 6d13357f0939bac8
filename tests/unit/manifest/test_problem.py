"""A problem is rendered with its place, its line, a caret and a proposal."""

from interlaced.manifest.codes import Code, Severity
from interlaced.manifest.problem import ManifestError, Problem, render

PROBLEM = Problem(
    file="billing.yaml",
    line=14,
    column=14,
    code=Code.UNKNOWN_KEY,
    message="unknown key 'retries' in policy",
    hint="did you mean 'retry.attempts'?",
    source="    policy: {retries: 4}",
    caret=13,
    width=7,
)


def test_a_problem_points_at_its_place() -> None:
    assert render(PROBLEM).splitlines() == [
        "billing.yaml:14:14  IL112  unknown key 'retries' in policy",
        "   14 |     policy: {retries: 4}",
        (
            "      |              ^^^^^^^ did you mean 'retry.attempts'?          "
            "docs: interlace help IL112"
        ),
    ]


def test_a_problem_of_a_whole_file_needs_no_line() -> None:
    problem = Problem(file="x.yaml", line=0, column=0, code=Code.TOO_LARGE, message="too large")
    assert render(problem) == "x.yaml  IL101  too large\n      = docs: interlace help IL101"


def test_a_warning_says_that_it_is_one() -> None:
    problem = Problem(
        file="x", line=1, column=1, code=Code.UNUSED_POLICY, message="m", hint="h",
        severity=Severity.WARNING,
    )  # fmt: skip
    assert render(problem).splitlines()[:2] == ["x:1:1  IL131  warning: m", "      = h"]


def test_the_error_counts_errors_only() -> None:
    warning = Problem(
        file="y", line=1, column=1, code=Code.UNUSED_POLICY, message="m", severity=Severity.WARNING
    )
    error = ManifestError([PROBLEM, warning])
    assert str(error) == "1 problem in 1 file"
    assert error.problems == (PROBLEM, warning)
    assert str(PROBLEM).startswith("billing.yaml:14:14 IL112 unknown key")
