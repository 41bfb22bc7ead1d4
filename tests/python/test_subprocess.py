"""subprocess: children and their pipes while other threads run."""

from support import check_script

# Each tick puts a line into a pipe.  A child that takes several of them ends
# only if others run while it is waited for, however slow the machine is.
TICKER = """
import os, subprocess, sys, threading, time
ticks = []
gate, opener = os.pipe()
FIVE_TICKS = f"for i in 1 2 3 4 5; do read line <&{gate}; done; "
def tick():
    while True:
        ticks.append(1)
        os.write(opener, b"\\n")
        time.sleep(0.005)
threading.Thread(target=tick, daemon=True).start()
"""


def test_run_with_pipes():
    check_script(
        TICKER
        + """
r = subprocess.run(["sh", "-c", FIVE_TICKS + "cat; echo err >&2; exit 3"],
                   input="in", capture_output=True, text=True,
                   pass_fds=[gate])
print(r.stdout, r.stderr.strip(), r.returncode, len(ticks) >= 5)
print(subprocess.check_output(["echo", "out"]))
try:
    subprocess.run(["false"], check=True)
except subprocess.CalledProcessError as error:
    print(error.returncode)
""",
        "in err 3 True b'out\\n' 1",
    )


def test_much_data_both_ways():
    check_script(
        TICKER
        + """
data = bytes(range(256)) * 4000
out = subprocess.run(["cat"], input=data, stdout=subprocess.PIPE).stdout
print(out == data)
p = subprocess.Popen(["cat"], stdin=-1, stdout=-1)
def feed():
    p.stdin.write(data)
    p.stdin.close()
threading.Thread(target=feed).start()
print(p.stdout.read() == data, p.wait())
""",
        "True True 0",
    )


def test_timeouts():
    check_script(
        TICKER
        + """
for call in (
    lambda: subprocess.run(["sleep", "15"], timeout=0.05),
    lambda: subprocess.run(["sleep", "15"], timeout=0.05,
                           capture_output=True),
):
    began = time.monotonic()
    try:
        call()
    except subprocess.TimeoutExpired:
        print(time.monotonic() - began < 10)
print(len(ticks) > 2)
""",
        "True True True",
    )


def test_reading_lines_as_they_come():
    check_script(
        TICKER
        + """
p = subprocess.Popen(
    ["sh", "-c", f"for i in 1 2 3; do echo $i; read line <&{gate}; done; "
     + FIVE_TICKS],
    stdout=subprocess.PIPE, text=True, pass_fds=[gate])
for line in p.stdout:
    print(line.strip())
print(p.wait(), len(ticks) >= 8)
p = subprocess.Popen(["echo", "raw"], stdout=subprocess.PIPE, bufsize=0)
print(p.stdout.read(2), p.stdout.read(), p.wait())
""",
        "1 2 3 0 True b'ra' b'w\\n' 0",
    )


def test_pipelines_of_children():
    check_script(
        """
        import subprocess
        a = subprocess.Popen(["sh", "-c", "sleep 0.02; echo b; echo a"],
                             stdout=subprocess.PIPE)
        b = subprocess.Popen(["sort"], stdin=a.stdout,
                             stdout=subprocess.PIPE, text=True)
        a.stdout.close()
        print(b.communicate()[0].split(), a.wait(), b.returncode)
        """,
        "['a', 'b'] 0 0",
    )


def test_many_children_at_once():
    check_script(
        """
        import os, subprocess, threading
        codes = []
        # Each waits for a line and passes it on to the next.
        pipes = [os.pipe() for _ in range(11)]
        def run(n):
            codes.append(subprocess.call(
                ["sh", "-c", f"read line; echo; exit {n}"],
                stdin=pipes[n][0], stdout=pipes[n + 1][1]))
        ts = [threading.Thread(target=run, args=(n,)) for n in range(10)]
        for t in ts: t.start()
        os.write(pipes[0][1], b"\\n")
        for t in ts: t.join()
        print(sorted(codes) == list(range(10)))
        """,
        "True",
    )


def test_kill_and_preexec():
    check_script(
        """
        import os, subprocess
        p = subprocess.Popen(["sleep", "5"])
        p.kill()
        print(p.wait(), p.poll())
        p = subprocess.Popen(["true"], preexec_fn=os.getpid)
        print(p.wait())
        try:
            subprocess.run(["/no/such/program"])
        except FileNotFoundError:
            print("missing")
        """,
        "-9 -9 0 missing",
    )


def test_the_pipes_are_files():
    check_script(
        """
        import io, subprocess
        p = subprocess.Popen(["cat"], stdin=-1, stdout=-1)
        print(isinstance(p.stdin, io.BufferedWriter),
              isinstance(p.stdout, io.BufferedReader),
              isinstance(p.stdout.raw, io.FileIO), p.stdout.fileno() > 2)
        with p:
            pass
        print(p.returncode)
        """,
        "True True True True 0",
    )
