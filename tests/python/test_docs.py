"""What the documents show runs; the tables come from benchmarks' files."""

import re
import sys
from pathlib import Path

import pytest
from support import run_python

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

EXAMPLES = [
    example
    for name in ("docs/python.md", "README.md")
    for example in re.findall(
        r"^```python\n(.*?)^```$", (ROOT / name).read_text(), re.M | re.S
    )
]

ECHO = """\
# date: 2026-11-22 17:55 +0000
# cpu: Some CPU, 2 cores
# kernel: Linux 6.1
# python: 3.11.2
# method: medians of 3 rounds of 1.0 s, servers in turn; load sleeps
server,clients,rps,mean_us,p50_us,p99_us,max_us,server_us,busy
threads,64,1000.0,500.0,1,2000.0,1,9.5,0.5
celadon,64,2500.0,200.0,1,900.0,1,4.25,0.5
"""
EMPTY = "before\n\n<!-- figures: echo -->\nold\n<!-- /figures -->\nafter\n"


@pytest.fixture
def figures():
    # What it does to sys.path is for its own run as a program.
    before = list(sys.path)
    import figures

    sys.path[:] = before
    return figures


@pytest.fixture
def results(figures, tmp_path):
    path = tmp_path / "echo.csv"
    path.write_text(ECHO)
    return {"echo": figures.read(path)}


@pytest.mark.parametrize("source", EXAMPLES)
def test_an_example_in_python_runs(source, tmp_path):
    path = tmp_path / "example.py"
    path.write_text(source)
    ended = run_python(str(path))
    assert (ended.code, ended.err) == (0, ""), ended


def test_the_longer_example_computes_what_it_says():
    ended = run_python("-c", EXAMPLES[-1])
    assert ended.out.split() == [str(sum(n * n for n in range(1000)))]


def test_a_table_has_medians_and_ratios(figures, results):
    text = figures.render(EMPTY, False, results)
    assert text.startswith("before\n") and text.endswith("after\n")
    assert "old" not in text
    rows = [line for line in text.splitlines() if "(two lines)" in line]
    assert len(rows) == 1
    cells = [cell.strip(" *") for cell in rows[0].split("|")[1:-1]]
    assert cells == ["celadon (two lines)", "2,500", "2.50", "-", "0.20",
                     "0.90", "4.2"]
    assert "Some CPU, 2 cores, Linux 6.1, Python 3.11.2, 2026-11-22" in text


def test_tables_speak_korean(figures, results):
    text = figures.render(EMPTY, True, results)
    assert "celadon (두 줄)" in text
    assert "1.0초씩 3회 측정한 중앙값" in text


def test_every_word_of_the_tables_has_a_korean_one(figures):
    korean = figures.Language(True)
    labels = [server.label for path in ("examples/showtime/run.py",
                                        "bench/echo.py")
              for server in figures.program(path)["SERVERS"]]
    labels += figures.program("bench/gevent.py")["LABELS"].values()
    labels += [row[0] for row in figures.program("bench/core.py")["rows"](
        figures.Figures(), [])]
    for label in labels:
        korean.label(label)


def test_a_table_made_twice_is_the_same(figures, results):
    once = figures.render(EMPTY, False, results)
    assert figures.render(once, False, results) == once


def test_a_table_without_results_is_left_alone(figures):
    assert figures.render(EMPTY, False, {}) == EMPTY


@pytest.mark.parametrize(
    "text",
    [
        EMPTY.replace("echo", "ecco"),
        EMPTY.replace("<!-- /figures -->", ""),
        EMPTY.replace("<!-- figures", "here: <!-- figures"),
    ],
)
def test_a_broken_table_is_an_error(figures, text):
    with pytest.raises(ValueError):
        figures.render(text, False, {})
