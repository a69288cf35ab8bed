"""Finding runs and reading them: what a kill leaves is no fault, what anything else leaves is one sentence."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from rlm_module.errors import InputError
from rlm_module.journal import find_run, load_input, read_run, run_folders
from rlm_module.journal.folder import EVENTS, INPUTS
from rlm_module.journal.lines import to_line
from tests.journal.samples import small_run

_LINES = [to_line(event) for event in small_run()]


def _recorded(journal: Path, run_id: str = "r1", data: bytes = b"".join(_LINES)) -> Path:
    folder = journal / run_id
    folder.mkdir(parents=True)
    (folder / EVENTS).write_bytes(data)
    return folder


def test_a_file_cut_off_anywhere_gives_what_came_before(tmp_path: Path) -> None:
    whole = b"".join(_LINES)
    path = _recorded(tmp_path) / EVENTS
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        events = read_run(path)
        assert events == small_run()[: len(events)]
        lines = whole[:length].count(b"\n")
        is_whole_without_newline = length < len(whole) and whole[length : length + 1] == b"\n"
        assert len(events) == lines + is_whole_without_newline


def test_a_torn_last_line_is_told_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_run(_recorded(tmp_path, data=_LINES[0] + b'{"v"'))
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "was cut off and is left out" in record.getMessage()


@pytest.mark.parametrize("broken", [b'{"v": 1, "tag": "act\n', b"\n", b"[]\n", b'{"v": 1, "tag": "scored"}\n'])
def test_a_broken_line_in_the_middle_is_named_with_its_number(tmp_path: Path, broken: bytes) -> None:
    folder = _recorded(tmp_path, data=_LINES[0] + broken + _LINES[1])
    with pytest.raises(InputError, match=r"line 2, is no event .*; restore the file, or remove that line\.$") as error:
        read_run(folder)
    assert str(folder / EVENTS) in str(error.value)


def test_a_broken_last_line_that_was_written_whole_is_no_torn_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2"):
        read_run(_recorded(tmp_path, data=_LINES[0] + b'{"v"\n'))


def test_a_newer_schema_names_the_file_and_the_mend(tmp_path: Path) -> None:
    folder = _recorded(tmp_path, data=_LINES[0] + b'{"v": 9, "tag": "run_finished"}\n')
    with pytest.raises(InputError, match=r"line 2: .*schema 9.*; upgrade rlm-module to read it\.$"):
        read_run(folder)


def test_events_of_unknown_kinds_are_passed_over(tmp_path: Path) -> None:
    folder = _recorded(tmp_path, data=_LINES[0] + b'{"v": 1, "tag": "dreamt"}\n' + _LINES[1])
    assert read_run(folder) == small_run()[:2]


def test_no_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_run(tmp_path / "nothing")


class TestInputs:
    def test_a_hash_that_is_none_reads_no_file(self, tmp_path: Path) -> None:
        for digest in ("../events.jsonl", "", "A" * 64, "0" * 63):
            with pytest.raises(InputError, match="no hash"):
                load_input(_recorded(tmp_path / str(len(digest)) / digest[:1]), digest)

    def test_one_that_is_gone_or_damaged_says_so(self, tmp_path: Path) -> None:
        folder = _recorded(tmp_path)
        with pytest.raises(InputError, match=r"cannot be read .*; pass the input again\.$"):
            load_input(folder, "0" * 64)
        (folder / INPUTS).mkdir()
        (folder / INPUTS / ("0" * 64)).write_bytes(b"Ttext")
        with pytest.raises(InputError, match=r"is damaged; pass the input again\.$"):
            load_input(folder, "0" * 64)


class TestFinding:
    def test_by_folder_file_id_and_beginning(self, tmp_path: Path) -> None:
        folder = _recorded(tmp_path, "abc123")
        _recorded(tmp_path, "abd456")
        for text in (str(folder), str(folder / EVENTS), "abc123", "abc"):
            assert find_run(text, [tmp_path]) == folder

    def test_a_whole_id_wins_over_longer_ones(self, tmp_path: Path) -> None:
        folder = _recorded(tmp_path, "abc")
        _recorded(tmp_path, "abcd")
        assert find_run("abc", [tmp_path]) == folder

    def test_looks_in_every_folder(self, tmp_path: Path) -> None:
        folder = _recorded(tmp_path / "two", "abc")
        assert find_run("a", [tmp_path / "one", tmp_path / "two"]) == folder

    def test_several_are_named(self, tmp_path: Path) -> None:
        for number in range(7):
            _recorded(tmp_path, f"ab{number}")
        with pytest.raises(InputError, match=r"any of 7 runs \(ab0, ab1, ab2, ab3, ab4, …\); give more of the id"):
            find_run("ab", [tmp_path])

    @pytest.mark.parametrize("text", ["zzz", "", "../r1"])
    def test_none_is_told_with_the_mend(self, tmp_path: Path, text: str) -> None:
        _recorded(tmp_path, "abc")
        with pytest.raises(InputError, match="`rlm runs` lists them"):
            find_run(text, [tmp_path])

    def test_only_folders_of_runs_are_listed(self, tmp_path: Path) -> None:
        folder = _recorded(tmp_path, "abc")
        (tmp_path / "other").mkdir()
        (tmp_path / "file").write_text("")
        assert run_folders(tmp_path) == [folder]
        assert run_folders(tmp_path / "nothing") == []
        with pytest.raises(InputError, match="cannot be listed"):
            run_folders(tmp_path / "file")
