"""What `rlm ask` reads from files, folders and standard input, and what it says about the rest."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rlm_module.cli.documents import read_documents
from rlm_module.errors import InputError


@dataclass
class Reader:
    """Reads with a standard input of its own and keeps the notes."""

    stdin: bytes = b""
    memory_mb: int = 64
    notes: list[str] = field(default_factory=list[str])

    def __call__(self, *paths: str | Path) -> dict[str, str]:
        names: Sequence[str] = [str(path) for path in paths]
        stdin = io.BytesIO(self.stdin)
        documents = read_documents(names, stdin=stdin, note=self.notes.append, memory_mb=self.memory_mb)
        assert len({document.name for document in documents}) == len(documents)
        return {document.name: document.text for document in documents}


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    monkeypatch.chdir(tmp_path)
    return Reader()


def _write(files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def test_a_file_is_read_whole_and_unchanged(reader: Reader) -> None:
    _write({"a.txt": "line\r\nzwei: ß 𝄞\n\n"})
    assert reader("a.txt") == {"a.txt": "line\r\nzwei: ß 𝄞\n\n"}
    assert reader.notes == []


def test_a_dash_is_standard_input(reader: Reader) -> None:
    reader.stdin = b"piped\n"
    assert reader("-") == {"<stdin>": "piped\n"}


def test_several_paths_are_named_from_the_folder_that_holds_them_all(reader: Reader, tmp_path: Path) -> None:
    _write({"one/x.txt": "1", "two/x.txt": "2", "two/deep/y.txt": "3"})
    reader.stdin = b"4"
    expected = {"one/x.txt": "1", "two/x.txt": "2", "two/deep/y.txt": "3", "<stdin>": "4"}
    assert reader(tmp_path / "one" / "x.txt", "two", "-") == expected


def test_a_folder_is_read_in_order_and_named_from_itself(reader: Reader) -> None:
    _write({"src/b.txt": "b", "src/a/z.txt": "z", "src/.hidden": "h"})
    assert list(reader("src")) == [".hidden", "a/z.txt", "b.txt"]


def test_what_is_named_twice_is_read_once(reader: Reader) -> None:
    _write({"src/a.txt": "a"})
    assert reader("src", "src/a.txt", "./src/../src/a.txt") == {"a.txt": "a"}


class TestGitignore:
    def test_patterns_bind_their_own_folder_and_what_is_below(self, reader: Reader) -> None:
        _write({".gitignore": "*.log\nbuild/\n/top.txt\n", "a.log": "1", "sub/b.log": "2", "sub/build/c.txt": "3"})
        _write({"top.txt": "4", "sub/top.txt": "5"})
        assert set(reader(".")) == {".gitignore", "sub/top.txt"}

    def test_a_deeper_file_has_the_last_word(self, reader: Reader) -> None:
        _write({".gitignore": "*.log\n", "sub/.gitignore": "!keep.log\nsecret.txt\n"})
        _write({"keep.log": "1", "sub/keep.log": "2", "sub/other.log": "3", "sub/secret.txt": "4", "secret.txt": "5"})
        assert set(reader(".")) == {".gitignore", "sub/.gitignore", "sub/keep.log", "secret.txt"}

    def test_what_an_ignored_folder_holds_cannot_be_taken_back(self, reader: Reader) -> None:
        _write({".gitignore": "build/\n!build/keep.txt\n", "build/keep.txt": "1", "a.txt": "2"})
        assert set(reader(".")) == {".gitignore", "a.txt"}

    def test_the_repository_around_a_folder_counts(self, reader: Reader) -> None:
        _write({"repo/.git/HEAD": "ref", "repo/.gitignore": "*.tmp\n/docs/draft.md\n"})
        _write({"repo/docs/draft.md": "1", "repo/docs/x.tmp": "2", "repo/docs/final.md": "3", ".gitignore": "*.md\n"})
        assert reader("repo/docs") == {"final.md": "3"}

    def test_a_folder_named_although_it_is_ignored_is_read(self, reader: Reader) -> None:
        _write({".git/HEAD": "ref", ".gitignore": "build/\n*.tmp\n", "build/out.txt": "1"})
        assert reader("build") == {"out.txt": "1"}

    def test_an_ignored_file_that_is_named_is_read(self, reader: Reader) -> None:
        _write({".git/HEAD": "ref", ".gitignore": "*.log\n", "a.log": "1"})
        assert reader("a.log") == {"a.log": "1"}

    def test_git_itself_is_left_out(self, reader: Reader) -> None:
        _write({"repo/.git/config": "x", "repo/a.txt": "1", "repo/module/.git": "gitdir: elsewhere"})
        assert reader("repo") == {"a.txt": "1"}

    def test_a_pattern_that_cannot_be_read_spares_the_others(self, reader: Reader) -> None:
        _write({".gitignore": "!\nfoo\\\n*.log\n", "a.log": "1", "b.txt": "2"})
        assert set(reader(".")) == {".gitignore", "b.txt"}


def test_links_in_a_folder_are_not_followed(reader: Reader) -> None:
    _write({"outside/secret.txt": "1", "src/a.txt": "2"})
    Path("src/link.txt").symlink_to("../outside/secret.txt")
    Path("src/folder").symlink_to("../outside")
    Path("src/loop").symlink_to(".")
    assert reader("src") == {"a.txt": "2"}


def test_a_pipe_in_a_folder_is_not_waited_for(reader: Reader) -> None:
    _write({"src/a.txt": "1"})
    os.mkfifo("src/pipe")
    assert reader("src") == {"a.txt": "1"}


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"%PDF-1.7 all in ASCII", b"text\0text"])
def test_a_binary_file_is_left_out_and_said_so(reader: Reader, content: bytes) -> None:
    _write({"src/image": content, "src/a.txt": "1"})
    assert reader("src") == {"a.txt": "1"}
    assert reader.notes == [f"Left out {Path('src/image')}, which is binary."]


def test_many_left_out_take_one_line_a_kind(reader: Reader) -> None:
    _write({f"src/{n}.bin": b"\0" for n in range(5)} | {"src/empty.txt": "", "src/a.txt": "1"})
    assert reader("src") == {"a.txt": "1"}
    assert reader.notes == [
        "Left out src/0.bin, src/1.bin, src/2.bin and 2 more, which are binary.",
        "Left out src/empty.txt, which is empty.",
    ]


def test_bytes_that_are_not_utf8_are_replaced_and_said_so(reader: Reader) -> None:
    _write({"latin.txt": "Straße".encode("latin-1")})
    assert reader("latin.txt") == {"latin.txt": "Stra\ufffde"}
    assert len(reader.notes) == 1
    assert reader.notes[0].startswith("latin.txt is not all UTF-8:")


def test_byte_order_marks_tell_the_encoding_and_go(reader: Reader) -> None:
    _write({"eight.txt": b"\xef\xbb\xbfgr\xc3\xbcn", "sixteen.txt": "grün".encode("utf-16")})
    assert reader("eight.txt", "sixteen.txt") == {"eight.txt": "grün", "sixteen.txt": "grün"}
    assert reader.notes == []


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["missing.txt"], r"^missing\.txt: there is no such file or folder; check the path$"),
        (["full.txt", "missing.txt"], r"^missing\.txt: there is no such file"),
        (["empty.txt"], r"^empty\.txt: it is empty; give one that has text in it$"),
        (["-"], r"^standard input: it is empty; "),
        (["image.png"], r"^image\.png: it is binary; convert it to text first$"),
        (["empty.txt", "image.png"], r"no text in any of 2 files \(1 empty and 1 binary\); "),
        (["nothing"], r"^nothing: no files in it, or all of them ignored by git; name the files$"),
        (["full.txt/deeper"], r"^full\.txt/deeper: it cannot be read \(Not a directory\); "),
    ],
)
def test_a_fault_is_one_sentence_with_its_mend(reader: Reader, paths: list[str], message: str) -> None:
    _write({"full.txt": "x", "empty.txt": "", "image.png": b"\0", "nothing/.git/HEAD": "ref"})
    with pytest.raises(InputError, match=message) as caught:
        reader(*paths)
    assert "\n" not in str(caught.value)


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is called `locked` may not be opened: file modes bind nobody who runs the suite as root."""
    plain_open, scandir = Path.open, os.scandir

    def guarded_open(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self.name == "locked" and args == ("rb",):
            raise PermissionError(13, "Permission denied")
        return plain_open(self, *args, **kwargs)

    def guarded_scandir(path: Path) -> object:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(Path, "open", guarded_open)
    monkeypatch.setattr(os, "scandir", guarded_scandir)


@pytest.mark.usefixtures("locked")
def test_a_file_that_may_not_be_read_is_an_error_where_it_is_named(reader: Reader) -> None:
    _write({"locked": "x"})
    with pytest.raises(InputError, match=r"^locked: you may not read it; change its permissions"):
        reader("locked")


@pytest.mark.usefixtures("locked")
def test_what_may_not_be_read_in_a_folder_is_left_out_and_said_so(reader: Reader) -> None:
    _write({"src/a.txt": "1", "src/locked": "x", "src/sub/locked/b.txt": "y"})
    assert reader("src") == {"a.txt": "1"}
    assert reader.notes == ["Left out src/sub/locked, src/locked, which are unreadable."]


def test_more_than_the_sandbox_holds_is_refused_unread(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    with open("huge.bin", "wb") as file:
        file.truncate(65 * 1024 * 1024)
    monkeypatch.delattr(Path, "open")
    with pytest.raises(InputError, match=r"^huge\.bin: 65 MiB cannot fit into a sandbox of 64 MiB; .*--memory-mb$"):
        reader("huge.bin")


def test_files_are_weighed_together(reader: Reader) -> None:
    for name in ("a.bin", "b.bin"):
        with open(name, "wb") as file:
            file.truncate(40 * 1024 * 1024)
    with pytest.raises(InputError, match="these 2 files: 80 MiB cannot fit"):
        reader("a.bin", "b.bin")


def test_a_stream_without_end_is_refused_at_the_limit(reader: Reader) -> None:
    with pytest.raises(InputError, match=r"^/dev/zero: more than 64 MiB cannot fit"):
        reader("/dev/zero")
