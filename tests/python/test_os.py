"""os: children and pipes that are waited for cooperatively."""

from support import check_script

# Each tick puts a byte into a pipe.  A child that takes several of them ends
# only if others run while it is waited for, however slow the machine is.
TICKER = """
import os, threading, time
ticks = []
gate, opener = os.pipe()
def tick():
    while True:
        ticks.append(1)
        os.write(opener, b"x")
        time.sleep(0.005)
threading.Thread(target=tick, daemon=True).start()
def child(code=0, pause=0.05):
    pid = os.fork()
    if pid == 0:
        time.sleep(pause)
        os._exit(code)
    return pid
def child_of_five_ticks(code):
    pid = os.fork()
    if pid == 0:
        for _ in range(5):
            os.read(gate, 1)
        os._exit(code)
    return pid
"""


def test_waitpid_lets_others_run():
    check_script(
        TICKER
        + """
pid = child_of_five_ticks(3)
got, status = os.waitpid(pid, 0)
print(got == pid, os.waitstatus_to_exitcode(status), len(ticks) >= 5)
print(os.waitpid(child(0, 0.1), os.WNOHANG))
""",
        "True 3 True (0, 0)",
    )


def test_waiting_for_any_child():
    check_script(
        TICKER
        + """
pids = {child(), child(0, 0.02)}
print({os.wait()[0], os.waitpid(-1, 0)[0]} == pids)
pid = child()
print(os.wait3(0)[0] == pid)
pid = child()
print(os.wait4(pid, 0)[0] == pid)
pid = child(4)
info = os.waitid(os.P_PID, pid, os.WEXITED)
print(info.si_pid == pid, info.si_status)
try:
    os.wait()
except ChildProcessError:
    print("none")
""",
        "True True True True 4 none",
    )


def test_any_child_is_waited_for_without_asking_again_and_again():
    """A child that ends is seen at once, also one that was made later."""
    check_script(
        TICKER
        + """
# sleep() of ours would be how to ask again and again.
import celadon.os
def refuse(seconds):
    raise AssertionError(seconds)
celadon.os.sleep = refuse
pid = child_of_five_ticks(1)
print(os.wait() == (pid, 256))
pid = child_of_five_ticks(2)
print(os.waitpid(0, 0) == (pid, 512))
pid = child_of_five_ticks(3)
print(os.waitid(os.P_ALL, 0, os.WEXITED).si_pid == pid)
first = child(0, 100)
later = []
def make():
    time.sleep(0.02)
    later.append(child_of_five_ticks(4))
threading.Thread(target=make).start()
print(os.wait3(0)[0] == later[0])
os.kill(first, 9)
print(os.wait()[0] == first)
""",
        "True True True True True",
    )


def test_children_of_another_group_are_not_waited_for():
    check_script(
        TICKER
        + """
other = child()
os.setpgid(other, other)
own = child_of_five_ticks(5)
while os.waitid(os.P_PID, other, os.WEXITED | os.WNOWAIT) is None:
    pass
print(os.waitpid(0, 0)[0] == own)
print(os.waitpid(-other, 0)[0] == other)
""",
        "True True",
    )


def test_reading_and_writing_pipes_lets_others_run():
    check_script(
        """
        import os, threading
        r, w = os.pipe()
        threading.Timer(0.01, os.write, (w, b"hello")).start()
        print(os.read(r, 100))
        big = os.urandom(300000)
        written = []
        t = threading.Thread(
            target=lambda: written.append(os.write(w, memoryview(big))))
        t.start()
        got = b""
        while len(got) < len(big):
            got += os.read(r, 70000)
        t.join()
        print(got == big, written)
        os.close(w)
        print(os.read(r, 1))
        """,
        "b'hello' True [300000] b''",
    )


def test_descriptors_that_cannot_be_waited_for(tmp_path):
    check_script(
        f"""
        import os
        fd = os.open({str(tmp_path / "file")!r}, os.O_RDWR | os.O_CREAT)
        print(os.write(fd, b"x" * 10000))
        os.lseek(fd, 0, 0)
        print(len(os.read(fd, 20000)))
        r, w = os.pipe()
        os.set_blocking(r, False)
        try:
            os.read(r, 1)
        except BlockingIOError:
            print("again")
        try:
            os.read(12345, 1)
        except OSError as error:
            print(error.errno)
        """,
        "10000 10000 again 9",
    )


def test_a_broken_pipe_is_an_error():
    check_script(
        """
        import os
        r, w = os.pipe()
        os.close(r)
        try:
            os.write(w, b"x" * 100000)
        except BrokenPipeError:
            print("broken")
        """,
        "broken",
    )
