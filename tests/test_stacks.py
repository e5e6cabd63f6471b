"""Collapsed stacks: what is kept of a line, what is left out, and files that mean harm."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.flame import stacks
from analysis.flame.stacks import Frame, parse
from analysis.latency import AnalysisError

PROCESS = 'process 7:"python -m service serve"'


def test_line_numbers_are_forgotten_so_that_edits_do_not_matter() -> None:
    found = parse("main (app.py:3);decode (d.py:2) 5\nmain (app.py:9);decode (d.py:4) 7\n")
    assert found.counts == {(Frame("main", "app.py"), Frame("decode", "d.py")): 12}
    assert found.samples == 12


@pytest.mark.parametrize(
    "owner",
    [PROCESS, "process 12", "thread (0x7F0A1B2C)", "thread 4242", "thread (0x7F0A): slot_0"],
)
def test_frames_that_name_a_process_or_a_thread_are_left_out(owner: str) -> None:
    assert parse(f"{owner};{owner};run (a.py:1) 3").counts == {(Frame("run", "a.py"),): 3}


def test_a_function_called_process_is_none_of_them() -> None:
    assert parse("process (a.py:1);thread (b.py:2) 3").counts == {
        (Frame("process", "a.py"), Frame("thread", "b.py")): 3
    }


@pytest.mark.parametrize(
    "leaf",
    [
        "EpollSelector.select (selectors.py:468)",
        "select (selectors.py:468)",
        "Runner.run (asyncio/runners.py:118)",
        "_worker (concurrent/futures/thread.py:81)",
        "Condition.wait (threading.py:327)",
        "epoll_wait (libc.so.6)",
        "__futex_abstimed_wait_common (libc.so.6)",
        "pthread_cond_timedwait@@GLIBC_2.3.2 (libc.so.6)",
        "take_gil (libpython3.11.so.1.0)",
    ],
)
def test_a_thread_that_waits_does_not_count(leaf: str) -> None:
    found = parse(f"main (app.py:1);{leaf} 40\nmain (app.py:2);infer (m.py:3) 2\n")
    assert (found.samples, found.waiting) == (2, 40)
    assert found.in_loop == (40 if leaf.startswith("Runner.run ") else 0)
    assert found.counts == {(Frame("main", "app.py"), Frame("infer", "m.py")): 2}


def test_what_runs_below_a_place_to_wait_counts() -> None:
    line = "Runner.run (asyncio/runners.py:118);answer (service/api.py:3) 4"
    assert parse(line).samples == 4
    assert parse("select (service/choice.py:3) 4").samples == 4


def test_names_may_hold_spaces_and_brackets() -> None:
    found = parse(
        "<module> (<frozen runpy>:198);std::map<(anonymous namespace)::T>::at (lib x.so);[gc] 2"
    )
    ((stack, _),) = found.counts.items()
    assert stack == (
        Frame("<module>", "<frozen runpy>"),
        Frame("std::map<(anonymous namespace)::T>::at", "lib x.so"),
        Frame("[gc]", ""),
    )


def test_recursion_counts_once_in_a_function_and_each_sample_has_one_leaf() -> None:
    found = parse("f (a.py:1);g (a.py:2);f (a.py:1) 3\nf (a.py:1);g (a.py:2) 4\n")
    assert found.functions == {Frame("f", "a.py"): 7, Frame("g", "a.py"): 7}
    assert found.leaves == {Frame("f", "a.py"): 3, Frame("g", "a.py"): 4}


@pytest.mark.parametrize(
    "text",
    [
        "main (app.py:1) many",
        "main (app.py:1) -3",
        "main (app.py:1) 0",
        "main (app.py:1) ٣",
        "main (app.py:1) 99999999999999999999",
        "main",
        '{"$schema": "https://www.speedscope.app/file-format-schema.json"}',
        "<svg>1</svg>",
    ],
)
def test_what_is_no_profile_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(AnalysisError, match=r"p\.txt, line 2: found .* expected `frame;frame c"):
        parse(f"main (app.py:1) 3\n{text}\n", "p.txt")


@pytest.mark.parametrize("text", ["", "\n\n", f"{PROCESS} 12\n", "wait (threading.py:1) 9\n"])
def test_a_profile_without_work_is_refused(text: str) -> None:
    with pytest.raises(AnalysisError, match="no sample of a thread that works"):
        parse(text)


def test_control_characters_do_not_reach_a_terminal() -> None:
    found = parse("\x1b[31mmain\u202e (app.py:1);in\x85fer (m.py:3) 2\r\n")
    assert found.counts == {(Frame("�[31mmain�", "app.py"), Frame("in�fer", "m.py")): 2}


def test_a_stack_without_end_is_cut() -> None:
    deep = ";".join(f"f{i} (a.py:1)" for i in range(5000))
    found = parse(f"{deep} 3\nf0 (a.py:1) 2\n")
    assert (found.samples, found.cut) == (5, 3)
    assert max(map(len, found.counts)) == stacks.MAX_DEPTH


def test_a_file_that_is_not_there_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match=r"none\.txt: cannot be read"):
        stacks.read(tmp_path / "none.txt")
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as file:
        file.truncate(stacks.MAX_BYTES + 1)
    with pytest.raises(AnalysisError, match="larger than 256 MB"):
        stacks.read(huge)


def test_a_file_is_read_again_only_when_it_was_written_again(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text("main (app.py:1) 3\n")
    first = stacks.read(path)
    assert stacks.read(path) is first
    path.write_text("main (app.py:1) 45\n")
    assert stacks.read(path).samples == 45
    path.unlink()
    with pytest.raises(AnalysisError, match="cannot be read"):
        stacks.read(path)


def test_more_than_one_profile_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"a (a.py:1);b{i} (a.py:1);c (a.py:1) 1\n" for i in range(40))
    assert parse(text).samples == 40
    for limit, value in (("MAX_FRAMES", 119), ("MAX_DIFFERENT", 39)):
        with monkeypatch.context() as patched:
            patched.setattr(stacks, limit, value)
            with pytest.raises(AnalysisError, match=r"^profile: more different (stacks|frames)"):
                parse(text)
    with monkeypatch.context() as patched:
        patched.setattr(stacks, "MAX_LINE", 40)
        assert parse("main (app.py:1) 3\n" * 9).samples == 27
        with pytest.raises(AnalysisError, match="line 2: longer than 40 characters"):
            parse(f"main (app.py:1) 3\n{'m' * 60} (app.py:1) 3\n")


def test_bytes_that_are_no_text_are_shown_as_such(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_bytes(b"ma\xffin (app.py:1) 3\n")
    assert stacks.read(path).counts == {(Frame("ma�in", "app.py"),): 3}


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(AnalysisError):
        found = parse(text)
        assert found.samples == sum(found.counts.values()) > 0
