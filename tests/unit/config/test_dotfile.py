from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from replica_cli.config.dotfile import read_dotfile

# The file, and for each problem the line in which it is and a part of what is said.
UNREADABLE: list[tuple[bytes, list[tuple[int, str]]]] = [
    (b'REPLICA_EXCLUDE_TABLES="shop.secret","shop.tmp_*"', [(1, "REPLICA_EXCLUDE_TABLES: text follows the closing")]),
    (b"A=1\n\n  MARIA_PASS='geheim\nB=2\n", [(3, "MARIA_PASS: the quote ' that opens the value is not closed")]),
    (b'MARIA_PASS="geheim\nB="2"\n', [(1, "MARIA_PASS: the quote")]),
    (b"MARIA_PASS='geheim\nB='\nC=3\n", [(1, "MARIA_PASS: the quote that opens here is closed in another line")]),
    (b"MARIA_PASS='geheim'x\r\nREPLICA_SCHEMAS\r\n", [(1, "text follows"), (2, "REPLICA_SCHEMAS: has no value")]),
    (b"KEY='geheim\nMARIA_USER=r\nB='\nC=3\n", [(1, "the quote that opens here is closed in another line")]),
    (b"REPLICA_SCHEMAS=shop,\n  geheim\n", [(2, "has no value")]),
    (b"=geheim\n", [(1, "has no name")]),
    (b'"REPLICA_SCHEMAS"=geheim\n', [(1, "not the name of a variable")]),
    (b"REPLICA SCHEMAS=geheim\n", [(1, "cannot be read: write NAME=value")]),
    (b"MARIA_USER=a\nMARIA_USER=b\n", [(2, "MARIA_USER: is set to another value in line 1")]),
    (b"A=1\nMARIA_PASS=gehe\xfcim\n", [(2, "is not UTF-8 text")]),
    ("MARIA_PASS=geheim\n".encode("utf-16"), [(1, "is not UTF-8 text")]),
    ("MARIA_PASS=geheim\n".encode("utf-16-le"), [(1, "holds a NUL")]),
    (b"A=1\nMARIA_PASS=ge\0heim\n", [(2, "holds a NUL")]),
]


@pytest.mark.parametrize(("data", "expected"), UNREADABLE, ids=[repr(d)[:40] for d, _ in UNREADABLE])
def test_a_line_that_cannot_be_read_is_a_problem_with_file_and_line(
    tmp_path: Path, data: bytes, expected: list[tuple[int, str]]
) -> None:
    path = tmp_path / ".env"
    path.write_bytes(data)
    problems = read_dotfile(path).problems
    assert len(problems) == len(expected), problems
    for problem, (line, part) in zip(problems, expected, strict=True):
        assert problem.startswith(f"{path}:{line}: "), problem
        assert part in problem
        assert "eheim" not in problem
        assert "secret" not in problem


READABLE = {
    b"\xef\xbb\xbfREPLICA_SCHEMAS=shop\n": {"REPLICA_SCHEMAS": "shop"},
    b"export REPLICA_SCHEMAS=shop\r\nMARIA_USER='r'\r\n": {"REPLICA_SCHEMAS": "shop", "MARIA_USER": "r"},
    b"# it's a comment\nMARIA_USER = r # or another\n": {"MARIA_USER": "r"},
    b"MARIA_PASS=a#b$c'd\"e\n": {"MARIA_PASS": "a#b$c'd\"e"},
    b"MARIA_PASS=' a # $b ' # mine\n": {"MARIA_PASS": " a # $b "},
    b"REPLICA_TABLES=   # all of them\n": {"REPLICA_TABLES": ""},
    b"MARIA_PASS=#x\n": {"MARIA_PASS": "#x"},
    b"MARIA_USER=r\nMARIA_USER=r\nOTHER=1\nOTHER=2\n": {"MARIA_USER": "r", "OTHER": "2"},
    b"KEY='-----BEGIN\nx\n-----END'\nMARIA_USER=r\n": {"KEY": "-----BEGIN\nx\n-----END", "MARIA_USER": "r"},
    b"": {},
    b"\n\n": {},
}


@pytest.mark.parametrize("data", READABLE, ids=repr)
def test_other_files_are_read_as_they_are_meant(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / ".env"
    path.write_bytes(data)
    path.chmod(0o600)
    found = read_dotfile(path)
    assert (found.values, found.problems, found.warnings) == (READABLE[data], [], [])


def test_what_may_be_meant_otherwise_is_a_warning_without_the_value(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("MARIA_PASS=geheim #1\nMARIA_USER=${USER}\nREPLICA_SCHEMAS='${x}'\n")
    path.chmod(0o600)
    first, second = read_dotfile(path).warnings
    assert first.startswith(f"{path}:1: MARIA_PASS: the text after ` #` is a comment")
    assert second.startswith(f"{path}:2: MARIA_USER: `${{...}}` is kept as it is")
    assert "geheim" not in first


def test_a_path_that_is_no_readable_file_is_a_problem_and_a_missing_one_is_not(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    assert read_dotfile(tmp_path / "gone").problems == []
    assert "Is a directory" in read_dotfile(tmp_path).problems[0]
    assert "a link to a file that does not exist" in read_dotfile(link).problems[0]


def test_a_file_with_a_password_that_every_user_can_read_is_warned_about_with_the_command() -> None:
    # pytest's own temporary folder is closed to others, which hides every file in it.
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "my .env"
        path.write_text("MARIA_PASS=x\n")
        folder.chmod(0o755)
        for mode, word in ((0o600, None), (0o640, None), (0o644, "read"), (0o602, "change")):
            path.chmod(mode)
            warnings = read_dotfile(path).warnings
            assert len(warnings) == (word is not None)
            if word is not None:
                assert f"can {word} it" in warnings[0]
                assert f"`chmod o-rwx '{path}'`" in warnings[0]
        folder.chmod(0o700)
        assert read_dotfile(path).warnings == []
        folder.chmod(0o755)
        path.write_text("MARIA_USER=x\n")
        assert read_dotfile(path).warnings == []
