from __future__ import annotations

from pathlib import Path

import pytest

from rlm_module.errors import InputError
from rlm_module.signatures import Directory, Documents


def test_documents_come_from_plain_things(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes("\ufeffgr\u00fc\u00df".encode())
    assert Documents("x").texts() == {"document": "x"}
    assert Documents(["x", "y"]).texts() == {"document_1": "x", "document_2": "y"}
    assert Documents({"name": "x", "file": file}).texts() == {"name": "x", "file": "gr\u00fc\u00df"}
    assert Documents([file]).texts() == Documents(file).texts() == {file.as_posix(): "gr\u00fc\u00df"}
    assert Documents(Documents("x")) == Documents("x")
    assert Documents("x") != Documents("y")


def test_what_is_no_text_is_refused_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "b.bin").write_bytes(b"\0\1")
    with pytest.raises(InputError, match="convert it to text first"):
        Documents(tmp_path / "b.bin")
    with pytest.raises(InputError, match="pass Directory"):
        Documents(tmp_path)
    with pytest.raises(InputError, match="check the path"):
        Documents(tmp_path / "none.txt")
    with pytest.raises(InputError, match="not int"):
        Documents({"a": 1})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".gitignore").write_text("*.log\nbuild/\n")
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "out.py").write_text("made")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("x = 1\n")
    (tmp_path / "README.md").write_text("Read me.\n")
    (tmp_path / "debug.log").write_text("noise")
    (tmp_path / "logo.png").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "empty.py").write_text("")
    return tmp_path


def test_a_folder_is_read_as_git_sees_it(project: Path) -> None:
    assert Directory(project).texts() == {
        ".gitignore": "*.log\nbuild/\n",
        "README.md": "Read me.\n",
        "src/a.py": "x = 1\n",
    }
    assert list(Directory(str(project), suffixes=(".py",)).texts()) == ["src/a.py"]


def test_a_folder_is_read_late_and_anew_for_each_run(project: Path) -> None:
    folder = Directory(project, suffixes=[".py"])
    (project / "src" / "a.py").write_text("x = 2\n")
    first = folder.for_run()
    assert first.texts() == {"src/a.py": "x = 2\n"}
    (project / "src" / "a.py").write_text("x = 3\n")
    assert first.texts() == {"src/a.py": "x = 2\n"}
    assert folder.for_run().texts() == {"src/a.py": "x = 3\n"}


def test_a_folder_that_is_too_large_is_cut_or_refused(project: Path) -> None:
    (project / "large.txt").write_text("x" * 1_000)
    folder = Directory(project, max_file_bytes=100)
    assert "large.txt" not in folder.texts()
    assert "Left out as too large or unreadable: 1 files (large.txt)." in folder.rlm_preview()
    with pytest.raises(InputError, match=r"more than 500 bytes; .* raise max_bytes"):
        Directory(project, max_bytes=500).texts()
    with pytest.raises(InputError, match="holds no text files"):
        Directory(project, suffixes=[".rs"]).texts()


def test_the_preview_of_a_folder_tells_how_it_is_laid_out(project: Path) -> None:
    preview = Directory(project).rlm_preview()
    assert "A dict of path to text, 3 texts" in preview
    assert "By suffix: none 1, .md 1, .py 1." in preview
    assert "By folder: ./ 2, src/ 1." in preview
    assert "- 'src/a.py': 6 characters" in preview
