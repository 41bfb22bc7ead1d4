"""Signals: handlers run promptly, what they raise is for the main greenlet."""

import signal

from support import check_script, run_script


def test_keyboard_interrupt_reaches_main_while_others_run():
    check_script(
        """
        import os, signal, threading, time
        log = []
        def busy():
            try:
                for _ in range(50):
                    time.sleep(0.002)
                log.append("whole")
            except BaseException as error:
                log.append(repr(error))
        t = threading.Thread(target=busy)
        t.start()
        threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            time.sleep(5)
        except KeyboardInterrupt:
            print("main")
        t.join()
        print(*log)
        """,
        "main whole",
    )


def test_keyboard_interrupt_while_a_thread_computes():
    check_script(
        """
        import os, signal, threading, time
        went = []
        def compute():
            end = time.monotonic() + 0.1
            while time.monotonic() < end:
                if not went:
                    os.kill(os.getpid(), signal.SIGINT)
                    went.append(1)
            print("computed")
        t = threading.Thread(target=compute)
        t.start()
        try:
            t.join()
        except KeyboardInterrupt:
            print("interrupted")
        t.join()
        """,
        "computed interrupted",
    )


def test_keyboard_interrupt_without_patching_signal():
    ended = run_script(
        """
        import os, signal
        import celadon
        celadon.spawn(os.kill, os.getpid(), signal.SIGINT)
        try:
            celadon.sleep(5)
        except KeyboardInterrupt:
            print("main")
        """,
        patched=False,
    )
    assert ended.out == "main\n"
    assert "failed with KeyboardInterrupt" in ended.err


def test_an_interrupt_nobody_catches_ends_the_program():
    ended = run_script(
        """
        import os, signal, threading, time
        threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
        time.sleep(5)
        """,
        fails=True,
    )
    assert ended.code == -signal.SIGINT
    assert "KeyboardInterrupt" in ended.err


def test_a_term_handler_runs_while_main_sleeps():
    check_script(
        """
        import os, signal, sys, threading, time
        def leave(number, frame):
            print(number == signal.SIGTERM, frame is not None)
            sys.exit(0)
        print(signal.signal(signal.SIGTERM, leave) == signal.SIG_DFL)
        print(signal.getsignal(signal.SIGTERM) is leave)
        threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGTERM)).start()
        began = time.monotonic()
        try:
            time.sleep(15)
        finally:
            print(time.monotonic() - began < 10)
        """,
        "True True True True True",
    )


def test_handlers_may_wait():
    check_script(
        """
        import os, signal, threading, time
        done = threading.Event()
        def slowly(number, frame):
            time.sleep(0.01)
            done.set()
        signal.signal(signal.SIGUSR1, slowly)
        threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        print(done.wait(5))
        """,
        "True",
    )


def test_an_alarm_interrupts_main():
    check_script(
        """
        import signal, socket
        class Late(Exception): pass
        def alarm(number, frame): raise Late
        signal.signal(signal.SIGALRM, alarm)
        a, b = socket.socketpair()
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            a.recv(1)
        except Late:
            print("late")
        """,
        "late",
    )


def test_handlers_set_before_patching_are_shown_as_they_were():
    check_script(
        """
        import signal
        def mine(number, frame): pass
        signal.signal(signal.SIGUSR1, mine)
        from celadon.monkey import patch_all
        patch_all()
        print(signal.getsignal(signal.SIGUSR1) is mine)
        print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        print(signal.signal(signal.SIGUSR1, signal.SIG_IGN) is mine)
        print(signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN)
        """,
        "True True True True",
        patched=False,
    )


def test_the_wakeup_descriptor_gets_the_number():
    check_script(
        """
        import os, signal, socket
        a, b = socket.socketpair()
        a.setblocking(False)
        print(signal.set_wakeup_fd(a.fileno()))
        signal.signal(signal.SIGUSR1, lambda *args: None)
        os.kill(os.getpid(), signal.SIGUSR1)
        print(b.recv(1)[0] == signal.SIGUSR1)
        print(signal.set_wakeup_fd(-1) == a.fileno())
        r, w = os.pipe()
        try:
            signal.set_wakeup_fd(w)
        except ValueError:
            print("blocking")
        """,
        "-1 True True blocking",
    )


def test_pause_and_sigwait_let_others_run():
    check_script(
        """
        import os, signal, threading, time
        def later(number):
            threading.Timer(0.01, os.kill, (os.getpid(), number)).start()
        signal.signal(signal.SIGUSR1, lambda *args: print("handled"))
        later(signal.SIGUSR1)
        signal.pause()
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
        later(signal.SIGUSR2)
        print(signal.sigwait([signal.SIGUSR2]).name)
        print(signal.sigtimedwait([signal.SIGUSR2], 0.01))
        """,
        "handled SIGUSR2 None",
    )


def test_signal_handler_spawns():
    check_script(
        """
        import os, signal, celadon
        event = []
        def got(*args, **kwargs):
            celadon.sleep(0)
            event.append((args, kwargs))
        handler = celadon.signal_handler(signal.SIGUSR1, got, 1, a=2)
        os.kill(os.getpid(), signal.SIGUSR1)
        celadon.sleep(0.02)
        print(event == [((1,), {"a": 2})])
        handler.cancel()
        print(signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL)
        """,
        "True True",
        patched=False,
    )


def test_asyncio_runs_in_a_patched_process():
    check_script(
        """
        import asyncio, os, signal
        async def main():
            loop = asyncio.get_running_loop()
            came = asyncio.Event()
            loop.add_signal_handler(signal.SIGUSR1, came.set)
            loop.call_later(0.01, os.kill, os.getpid(), signal.SIGUSR1)
            await asyncio.wait_for(came.wait(), 5)
            return await asyncio.to_thread(lambda: "thread")
        print(asyncio.run(main()))
        """,
        "thread",
    )
