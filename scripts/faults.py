"""Let every system call and allocation of the public calls fail once, and
hold what comes of it against the contracts: faults.py BUILD.

tests/faults has the scenarios, and sees to crashes, hangs and leaks.  Here,
what each call returned is compared with its contract in the header: an error
must be named there, or be the one that the system call had, where the contract
says "as recv(2)".  Every public call must have been made, and every point that
can fail must have failed, but for those below.
"""

import errno
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import header as headers_of
import man

ROOT = headers_of.ROOT
BACKENDS = ["epoll", "poll", "uring"]
# Seconds for all scenarios over one backend; they take some fifty.
LIMIT = 1200

# Points that need not be reached, with the reason.
UNREACHED = {
    "mprotect": "the second choice, where madvise() makes no guards",
}

# Errors that a system call never has: what is made of them is not asked.
NEVER = {("eventfd", "EIO"), ("getsockopt", "EIO"), ("poll", "EIO"),
         ("sigaction", "EIO")}

# What has points in it, and those.
WRAPPER = re.compile(r"^(cel__\w+)\(.*?\)\n\{(.*?)^\}", re.M | re.S)
POINT = re.compile(r"CEL__SYS(?:_ONCE)?\(\w+, (?!fn)(\w+),")
PLAIN = re.compile(r"^CEL__SYS_WRAP\(\w+, (\w+),", re.M)

# What a system call says of a peer that has met the fault and closed.
PEER = ("EPIPE", "ECONNRESET", "ECONNREFUSED")
# What functions of the scenarios return, by way of calls that hand it on.
OURS = "EXDEV"


def contracts():
    """For each public call the errors it names; whether it names a page."""
    found = headers_of.headers()
    base = next(header for header in found if header.name == man.BASE)
    said = {}
    for header in found:
        for call in header.calls:
            text = " ".join(call.contract.split())
            like = man.LIKE.findall(text)
            said[call.name] = (
                set(man.errors_of(call, header, base)),
                any(re.search(r"\(\d\)", page) for page in like)
                or bool(re.search(r"^  errno ", call.contract, re.M)),
                {name for page in like
                 for name in re.findall(r"(cel_\w+)\(", page)})
    return said


def allowed(name, code, fault, said):
    """Whether a call may return an error, after such a fault."""
    errors, system, others = said[name]
    if code == OURS:
        return True
    if code == "EINPROGRESS" and fault == "EINTR":
        return system  # an interrupted connect(2) goes on
    return (code in errors
            or (system and code in (fault, "ENOMEM", *PEER))
            or any(allowed(other, code, fault, said)
                   for other in others - {name}))


def points():
    """The names of all points of the engine that can fail."""
    texts = [re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
             for path in sorted((ROOT / "src").rglob("*.[ch]"))]
    text = "\n".join(texts)
    found = set(re.findall(r'cel__fault\("(\w+)"\)', text))
    for name, body in WRAPPER.findall(text):
        # Those that nobody but the extension calls are its affair.
        if len(re.findall(rf"\b{name}\(", text)) > 1:
            found |= {point.removeprefix("CEL__").lower()
                      for point in POINT.findall(body)}
    return found | {name for name in PLAIN.findall(text)
                    if f"cel__sys_{name}(" in text}


def run(program, backend):
    """Run all scenarios over a backend; returns status and output."""
    env = dict(os.environ, CELADON_BACKEND=backend)
    env["ASAN_OPTIONS"] = "detect_leaks=0"  # they are counted
    try:
        ran = subprocess.run([str(program)], env=env, text=True,
                             capture_output=True, timeout=LIMIT)
    except subprocess.TimeoutExpired as late:
        return 1, f"{late.stdout}\nnot done after {LIMIT} s"
    return ran.returncode, ran.stdout + ran.stderr


def name_of(number):
    """The name of an errno value, given as it is or negative."""
    if abs(number) == errno.EDEADLK:
        return "EDEADLK"  # and not EDEADLOCK
    return errno.errorcode.get(abs(number), str(number))


def judge(calls):
    """Yield what calls returned against their contracts."""
    said = contracts()
    for name, result, point, fault in sorted(set(calls)):
        code = name_of(int(result))
        other = name_of(int(fault))
        if result == "0" or name not in said or (point, code) in NEVER:
            continue
        if not allowed(name, code, other, said):
            yield (f"{name} returned -{code} when {point} failed with "
                   f"{other}: not in its contract")


def main():
    if len(sys.argv) != 2:
        print(__doc__.splitlines()[0], file=sys.stderr)
        return 2
    program = Path(sys.argv[1]) / "tests" / "faults"
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda name: run(program, name), BACKENDS))
    wrong, calls, hit = [], [], set()
    for backend, (status, output) in zip(BACKENDS, outcomes, strict=True):
        calls += re.findall(r"^call (\w+) (-?\d+) (\S+) (\d+)$", output, re.M)
        hit |= set(re.findall(r"^fault _*(\w+)$", output, re.M))
        rest = re.sub(r"^(call|fault) .*\n", "", output, flags=re.M)
        print(re.sub(r"^(?=\d+ passed)", f"{backend}: ", rest, flags=re.M))
        if status != 0:
            wrong.append(f"{backend}: status {status}")
    wrong += judge(calls)
    called = {call[0] for call in calls}
    wrong += [f"{name} is called in no scenario of tests/faults"
              for name in sorted(set(contracts()) - called)]
    wrong += [f"{name} never failed"
              for name in sorted(points() - hit - set(UNREACHED))]
    wrong += [f"{name} did fail: it need not be excused"
              for name in sorted(hit & set(UNREACHED))]
    print("\n".join(wrong))
    print(f"{len(set(calls))} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
