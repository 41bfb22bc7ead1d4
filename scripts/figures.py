"""Fill the tables of figures in the READMEs from the last benchmarks.

    figures.py            write the tables, and docs/showtime.svg
    figures.py --check    say what is not current, write nothing

A table stands between two lines,

    <!-- figures: NAME -->
    <!-- /figures -->

and NAME is a key of TABLES.  What is between them is made from
build/showtime/results.csv and build/bench-results/*.csv, which `make bench`
leaves, so no figure is typed by hand.  A table whose file is missing stays as
it is.  Exit status of --check: 1 where something is not current.
"""

import argparse
import csv
import re
import runpy
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# The repository's root instead of this folder: whence `bench` is imported.
sys.path[0] = str(ROOT)

from bench.lib import report  # noqa: E402
from bench.lib.single import Figures  # noqa: E402

FILES = ["README.md", "README.ko.md", "bench/README.md"]
PLOT = "showtime/showtime.svg"

BLOCK = re.compile(
    r"^<!-- figures: (\S+) -->\n(.*?)^<!-- /figures -->\n", re.M | re.S
)

# The words of the tables for README.ko.md.
KOREAN = {
    "clients": "동시 접속",
    "requests/s": "초당 요청",
    "ms/request": "요청당 ms",
    "p99 ms": "p99 ms",
    "server µs": "서버 CPU µs",
    "x threads": "스레드 대비(배)",
    "x gevent": "gevent 대비(배)",
    "x streamserver": "StreamServer 대비(배)",
    "µs an operation": "연산 하나에 드는 시간, µs",
    "times": "gevent 대비(배)",
    "threads (as it is)": "스레드 (원본 그대로)",
    "gevent (two lines)": "gevent (두 줄)",
    "celadon (two lines)": "celadon (두 줄)",
    "floor (C, epoll)": "기준선 (C, epoll)",
    "gevent StreamServer": "gevent StreamServer",
    "uvloop Protocol": "uvloop Protocol",
    "celadon in C": "celadon, C로 작성",
    "greenlet switch, 1 frame deep": "그린렛 전환, 프레임 깊이 1",
    "greenlet switch, 50 frames deep": "그린렛 전환, 프레임 깊이 50",
    "raw greenlet: create, run, finish": "greenlet 생성, 실행, 종료",
    "spawn(f).join()": "spawn(f).join()",
    "sleep(0) between two greenlets": "그린렛 둘이 번갈아 sleep(0)",
    "socketpair round trip, each side waits": "socketpair 왕복, 양쪽 대기",
    "with settimeout(5)": "settimeout(5)를 걸었을 때",
    "Event round trip, each side waits": "Event 왕복, 양쪽 대기",
    "Queue put and get, nobody waits": "Queue에 넣고 꺼내기, 대기 없음",
    "Queue round trip, each side waits": "Queue 왕복, 양쪽 대기",
    "bytes a greenlet parked in sleep": "sleep 중인 그린렛 하나의 바이트 수",
    "yield among 2, ns": "코루틴 2개 사이의 yield, ns",
    "yield among 1000, ns": "코루틴 1,000개 사이의 yield, ns",
    "yield among 10000, ns": "코루틴 10,000개 사이의 yield, ns",
    "start and join, ns": "시작하고 join, ns",
    "channel, there and back, ns": "채널 왕복, ns",
    "select over two channels, ns": "채널 2개 select, ns",
    "contended mutex handed over, ns": "경합하는 뮤텍스 넘겨주기, ns",
    "timeout set and cancelled, ns": "타임아웃을 걸고 취소하기, ns",
    "ring of channels, ns each": "채널 고리 한 바퀴, 하나당 ns",
    "coroutines in it": "고리 안의 코루틴 수",
    "another thread, there and back, ns": "다른 스레드까지 왕복, ns",
    "by two eventfds alone, ns": "eventfd 2개만으로, ns",
    "parked": "재워 둔 코루틴 수",
    "bytes each": "하나당 바이트",
    "page table bytes each": "하나당 페이지 테이블 바이트",
    "mappings": "메모리 매핑 수",
    "ns to start each": "하나를 시작하는 데 ns",
}


class Language:
    """The words of one document."""

    def __init__(self, korean):
        self.korean = korean

    def word(self, text):
        """`text`, or its translation; one that lacks it is a mistake."""
        if not self.korean or not re.search("[a-z]{2}", text):
            return text
        return KOREAN[text]

    def label(self, text):
        """The first cell of a row; two blanks say: part of the one above."""
        lead = "&emsp;" if text.startswith("  ") else ""
        return lead + self.word(text.strip())

    def method(self, text):
        """How it was measured, out of a file's head."""
        found = re.match(r"medians of (\d+) rounds(?: of ([\d.]+) s)?", text)
        if not self.korean or not found:
            return text
        each = f" {found[2]}초씩" if found[2] else ""
        return f"{each} {found[1]}회 측정한 중앙값".strip()

    def table(self, head, rows):
        """A table; what is ours in bold."""
        lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
        out = []
        for cells in lines:
            if "celadon" in cells[0] and cells is not head:
                cells = [f"**{cell}**" for cell in cells]
            out.append("| " + " | ".join(cells) + " |")
        return "\n".join(out)

    def facts(self, about):
        """The line under a table: machine, versions, date, method."""
        versions = [
            f"{'Python' if name == 'python' else name} {about[name]}"
            for name in ("python", "gevent", "greenlet", "uvloop", "celadon")
            if name in about
        ]
        parts = [about["cpu"], about["kernel"], *versions, about["date"][:10]]
        if "method" in about:
            parts.append(self.method(about["method"]))
        if self.korean:
            parts[0] = re.sub(r"(\d+) cores", r"코어 \1개", parts[0])
        return textwrap.fill("*" + ", ".join(parts) + "*", 98,
                             break_on_hyphens=False)


# ---- the files that the benchmarks leave


def number(text):
    """A cell of a CSV file: a number where it is one."""
    try:
        return float(text) if "." in text or "e" in text else int(text)
    except ValueError:
        return text


def read(path):
    """(what was measured on and with, samples) of one CSV file."""
    about, lines = {}, []
    for line in path.read_text().splitlines():
        if line.startswith("# "):
            key, _, value = line[2:].partition(": ")
            about[key] = value
        else:
            lines.append(line)
    samples = [
        {key: number(value) for key, value in row.items() if value != ""}
        for row in csv.DictReader(lines)
    ]
    return about, samples


def program(path):
    """The names that a benchmark defines, its labels among them."""
    return runpy.run_path(str(ROOT / path))


# ---- the tables


def servers(language, samples, labels, clients, bases):
    """Rows of servers for one number of clients, ratios to `bases`."""
    figures = report.medians(samples)
    for name, label in labels.items():
        one = figures.get((name, clients))
        if one is None:
            continue
        ratios = [
            report.ratio(one["rps"], figures.get((base, clients), {})
                         .get("rps"))
            for base in bases
        ]
        yield [
            language.label(label), report.count(one["rps"]), *ratios,
            f"{one['mean_us'] / 1000:.2f}", f"{one['p99_us'] / 1000:.2f}",
            f"{one['server_us']:.1f}",
        ]


def head(language, *names):
    return [language.word(name) for name in names]


def showtime(language, samples):
    labels = {server.name: server.label
              for server in program("examples/showtime/run.py")["SERVERS"]}
    rows = [
        [cells[0], f"{clients:,}", *cells[1:]]
        for clients in sorted({sample["clients"] for sample in samples})
        for cells in servers(language, samples, labels, clients,
                             ["threads", "gevent"])
    ]
    return language.table(
        ["", *head(language, "clients", "requests/s", "x threads",
                   "x gevent", "ms/request", "p99 ms", "server µs")], rows)


def echo(language, samples):
    labels = {server.name: server.label
              for server in program("bench/echo.py")["SERVERS"]}
    return language.table(
        ["", *head(language, "requests/s", "x threads", "x streamserver",
                   "ms/request", "p99 ms", "server µs")],
        servers(language, samples, labels, samples[0]["clients"],
                ["threads", "streamserver"]))


def micro(language, samples):
    names = program("bench/gevent.py")
    figures = Figures(samples)
    rows = [names["row"](figures, label, case, "ns")
            for case, label in names["LABELS"].items()]
    rows.append(names["row"](figures, "bytes a greenlet parked in sleep",
                             "park", "bytes"))
    return language.table(
        [language.word("µs an operation"), "gevent", "celadon",
         language.word("times")],
        [[language.label(row[0]), *row[1:]] for row in rows])


def raw(language, samples):
    rows = program("bench/greenlet.py")["rows"](Figures(samples))
    return language.table(
        [language.word("ns an operation"), "greenlet", "celadon",
         language.word("times")],
        [[language.label(row[0]), *row[1:]] for row in rows])


def core(language, samples):
    found = {sample["subject"] for sample in samples}
    names = [name for name in ("celadon", "go", "state-threads",
                               "boost.fiber") if name in found]
    rows = program("bench/core.py")["rows"](Figures(samples), names)
    return language.table(
        ["", *names], [[language.label(row[0]), *row[1:]] for row in rows])


def backends(language, samples):
    names = program("bench/backends.py")
    return language.table(names["HEAD"], names["rows"](samples))


def net(language, samples):
    names = program("bench/net.py")
    found = names["present"](samples)
    return language.table(
        ["", *found],
        [[language.label(row[0]), *row[1:]]
         for row in names["rows"](samples, found)])


def tls(language, samples):
    names = program("bench/tls.py")
    return language.table(names["HEAD"], names["rows"](samples))


def cores(language, samples):
    names = program("bench/cores.py")
    counts = sorted({sample["workers"] for sample in samples} - {1})
    return language.table(names["HEAD"], names["rows"](samples, counts))


def before_after(language, samples):
    head, rows = program("bench/before_after.py")["rows"](samples)
    return language.table(
        head, [[language.label(row[0]), *row[1:]] for row in rows])


def idle(language, samples):
    names = program("bench/idle.py")
    return language.table(
        names["HEAD"], names["rows"](samples, samples[0]["clients"]))


# Name: (file under build/, what makes the table).
TABLES = {
    "showtime": ("showtime/results.csv", showtime),
    "micro": ("bench-results/gevent.csv", micro),
    "greenlet-3.11": ("bench-results/greenlet-3.11.csv", raw),
    "greenlet-3.14": ("bench-results/greenlet-3.14.csv", raw),
    "echo": ("bench-results/echo.csv", echo),
    "core": ("bench-results/core.csv", core),
    "backends": ("bench-results/backends.csv", backends),
    "net": ("bench-results/net.csv", net),
    "tls": ("bench-results/tls.csv", tls),
    "cores": ("bench-results/cores.csv", cores),
    "idle": ("bench-results/idle.csv", idle),
    "before-after": ("bench-results/before_after.csv", before_after),
}


def render(text, korean, results):
    """`text` with its tables made anew from `results`: {name: read()}."""
    language = Language(korean)

    def block(match):
        name = match[1]
        if name not in TABLES:
            raise ValueError(f"no table is called {name}")
        if name not in results:
            return match[0]
        about, samples = results[name]
        table = TABLES[name][1](language, samples)
        return (f"<!-- figures: {name} -->\n{table}\n\n"
                f"{language.facts(about)}\n<!-- /figures -->\n")

    if text.count("<!-- figures:") != len(BLOCK.findall(text)):
        raise ValueError("a table that does not end, or not on its own line")
    return BLOCK.sub(block, text)


def outdated(build):
    """Yield (path, new text) for each file that is not current."""
    results = {}
    for name, (path, _) in TABLES.items():
        if not (build / path).exists():
            print(f"{name}: no {path} under {build.name}/: left as it is")
            continue
        results[name] = read(build / path)
        busy = results[name][0].get("busy before", "0 %")
        if float(busy.split()[0]) > 10:
            print(f"{name}: measured on a machine busy to {busy}")
    for path in FILES:
        old = (ROOT / path).read_text()
        new = render(old, path.endswith(".ko.md"), results)
        if new != old:
            yield ROOT / path, new
    plot = ROOT / "docs/showtime.svg"
    if (build / PLOT).exists():
        new = (build / PLOT).read_text()
        if not plot.exists() or plot.read_text() != new:
            yield plot, new


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true",
                        help="write nothing; status 1 if not current")
    options = parser.parse_args()
    count = 0
    for path, text in outdated(ROOT / "build"):
        count += 1
        name = path.relative_to(ROOT)
        if options.check:
            print(f"{name}: not current")
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        print(f"{name}: written")
    if count == 0:
        print("all that can be told is current")
    return 1 if options.check and count else 0


if __name__ == "__main__":
    sys.exit(main())
