"""Which files count."""

from pathlib import Path

from interlaced.manifest.codes import Code, Severity
from interlaced.manifest.files import ManifestFile, find_files, read_limited
from interlaced.manifest.problem import Problem


def test_manifests_of_a_directory_come_in_order(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "a.test.yaml", "c.test.yml", ".hidden.yaml", "x.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.yaml").mkdir()
    alone = tmp_path / "x.txt"
    assert list(find_files([tmp_path, alone])) == [tmp_path / "a.yml", tmp_path / "b.yaml", alone]


def test_an_empty_directory_deserves_a_warning(tmp_path: Path) -> None:
    (problem,) = find_files([tmp_path])
    assert isinstance(problem, Problem)
    assert (problem.code, problem.severity) == (Code.NO_MANIFEST, Severity.WARNING)


def test_a_file_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    file = ManifestFile.read(tmp_path / "none.yaml", read_limited)
    (problem,) = file.problems(file.findings, [])
    assert (problem.code, problem.line) == (Code.UNREADABLE_FILE, 0)
    assert file.has_errors


def test_reading_stops_one_byte_after_the_limit(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345678")
    assert read_limited(tmp_path / "x", 4) == b"12345"
    assert read_limited(tmp_path / "x", 8) == b"12345678"
