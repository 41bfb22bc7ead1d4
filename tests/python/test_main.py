"""python -m celadon: programs run as under python itself, but patched."""

import signal
import sys
import textwrap

import pytest
from support import run_python

SHOW = """\
import sys, threading
print(__name__, sys.argv, sys.path[0])
print(sorted(n for n in globals() if n.startswith('__')))
print(sys.modules['__main__'].__dict__ is globals())
print(globals().get('__file__'), __spec__ and __spec__.name, __package__)
"""


def celadon(*arguments, **options):
    return run_python("-m", "celadon", *arguments, **options)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "show.py").write_text(SHOW)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    (tmp_path / "pack" / "__main__.py").write_text(SHOW)
    (tmp_path / "pack" / "tool.py").write_text(SHOW)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ["show.py", "a", "-m", "--no-dns"],
        ["./show.py"],
        ["pack"],
        ["-m", "show", "--help"],
        ["-m", "pack", "x"],
        ["-m", "pack.tool"],
        ["-c", SHOW, "one", "-V"],
    ],
    ids=lambda words: " ".join(words)[:20].replace("\n", " "),
)
def test_a_program_sees_what_python_shows(folder, arguments):
    plain = run_python(*arguments, cwd=folder)
    ours = celadon(*arguments, cwd=folder)
    assert plain.code == ours.code == 0, ours
    assert ours.out == plain.out
    assert ours.err == plain.err == ""


def test_the_program_is_patched(tmp_path):
    code = "import time; print(time.sleep.__module__)"
    assert celadon("-c", code).out == "celadon.time\n"
    assert celadon("--no-time", "-c", code).out == "time\n"


def test_dash_m_monkey_is_a_command_too():
    code = "import time; print(time.sleep.__module__)"
    ended = run_python("-m", "celadon.monkey", "-c", code)
    assert ended.out == "celadon.time\n"


@pytest.mark.parametrize(
    "end",
    ["raise SystemExit(7)", "sys.exit('no')", "1/0", "sys.exit()", "x ="],
)
def test_ends_as_under_python(tmp_path, end):
    (tmp_path / "end.py").write_text(f"import sys\ndef f():\n {end}\nf()\n")
    plain = run_python("end.py", cwd=tmp_path)
    ours = celadon("end.py", cwd=tmp_path)
    assert (ours.code, ours.out) == (plain.code, plain.out)
    assert ours.err == plain.err


def test_keyboard_interrupt_ends_by_the_signal():
    code = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    code += "; import time; time.sleep(5)"
    ended = celadon("-c", code)
    assert ended.code == -signal.SIGINT
    assert ended.err.strip().endswith("KeyboardInterrupt")


def test_the_input_is_the_programs():
    ended = celadon("-c", "print(input())", stdin="hello\n")
    assert ended.out == "hello\n"


def test_compiled_files_run(tmp_path):
    import py_compile

    (tmp_path / "a.py").write_text("print('compiled', __name__)")
    py_compile.compile(str(tmp_path / "a.py"), str(tmp_path / "a.pyc"))
    assert celadon("a.pyc", cwd=tmp_path).out == "compiled __main__\n"


def test_threads_outlive_the_main_program(tmp_path):
    program = """\
    import threading, time
    word = "late"
    def say():
        time.sleep(0.05)
        print(word)
    threading.Thread(target=say).start()
    """
    (tmp_path / "a.py").write_text(textwrap.dedent(program))
    assert celadon("a.py", cwd=tmp_path).out == "late\n"


def test_help_and_version():
    assert celadon("--help").out.startswith("usage: python -m celadon")
    assert "--no-PART" in celadon("-h").out
    assert celadon("--version").out.startswith("celadon 0.")


def test_info_says_what_was_chosen(tmp_path):
    shown = celadon("info", env={"CELADON_BACKEND": ""}).out
    lines = dict(line.split(": ", 1) for line in shown.splitlines())
    assert lines["backend"] == "epoll, the best for most"
    assert lines["poll"] == "can be had, by CELADON_BACKEND=poll"
    assert set(lines) >= {"celadon", "system", "uring", "python", "files"}
    shown = celadon("info", env={"CELADON_BACKEND": "poll"}).out
    assert "backend: poll, as CELADON_BACKEND says" in shown
    # A program of that name is run all the same.
    (tmp_path / "info").write_text("print('mine')")
    assert celadon("info", cwd=tmp_path).out == "mine\n"


def test_a_backend_that_is_none_is_refused_with_a_reason():
    ended = celadon(
        "-c",
        "import time; time.sleep(0)",
        env={"CELADON_BACKEND": "kqueue"},
    )
    assert ended.code == 1
    assert "OSError: [Errno 22] CELADON_BACKEND=kqueue: there is" in ended.err
    shown = celadon("info", env={"CELADON_BACKEND": "kqueue"}).out
    assert "backend: none; CELADON_BACKEND=kqueue: there is none" in shown


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--no-such"], "unknown option --no-such"),
        (["--frobnicate", "x.py"], "unknown option --frobnicate"),
        (["-m"], "-m needs an argument"),
        ([], "which program?"),
        (["nowhere.py"], "no such file"),
    ],
)
def test_bad_command_lines_are_explained(arguments, words):
    ended = celadon(*arguments)
    assert ended.code == 2
    assert words in ended.err
    assert "Traceback" not in ended.err


def test_a_missing_module_is_said_as_python_does():
    ended = celadon("-m", "no_such_module_here")
    assert ended.code == 1
    assert "No module named no_such_module_here" in ended.err


def test_verbose_lists_what_is_patched():
    ended = celadon("-v", "-c", "")
    assert "celadon: time: sleep" in ended.err


def test_safe_path_is_respected(tmp_path):
    (tmp_path / "a.py").write_text("import sys; print(sys.path)")
    plain = run_python("-P", "a.py", cwd=tmp_path)
    ours = run_python("-P", "-m", "celadon", "a.py", cwd=tmp_path)
    assert sys.flags.safe_path or ours.out == plain.out
