# SPDX-License-Identifier: MIT
"""Coroutines in gdb, of a running program and of a core file.

    (gdb) source celadon.py
    (gdb) celadon coros         a line a coroutine
    (gdb) celadon bt NUMBER     the backtrace of one
    (gdb) celadon dump          all of it

The engine must have been built with debugging information (-g), as it is by
default.  A suspended coroutine's backtrace needs no registers to be written:
an unwinder of our own makes the stack go on below frame 0 in what the
coroutine has saved (the frames of src/coro/switch_*.S).
"""

import gdb
from gdb.unwinder import Unwinder, register_unwinder

STATES = ["not started", "ready", "running", "waits for", "has ended",
          "left behind by a fork"]
PARKED = 3

# What a suspended context has on its stack: (register, offset) from the saved
# stack pointer, and where that stood when it had returned.
LAYOUTS = {
    "i386:x86-64": (
        [("r15", 0), ("r14", 8), ("r13", 16), ("r12", 24), ("rbx", 32),
         ("rbp", 40), ("rip", 48)],
        "rsp", 56,
    ),
    "aarch64": (
        [(f"x{19 + i}", 8 * i) for i in range(11)] + [("pc", 88)],
        "sp", 160,
    ),
}


def layout():
    """Return the layout of this processor's switch, or None."""
    name = gdb.selected_inferior().architecture().name()
    return LAYOUTS.get(name)


class Pretence(Unwinder):
    """Lets frame 0 have been called by a suspended coroutine."""

    def __init__(self):
        super().__init__("celadon")
        self.sp = None

    def __call__(self, pending):
        if self.sp is None or pending.level() != 0:
            return None
        registers, stack, size = layout()
        word = gdb.lookup_type("unsigned long")
        at = gdb.Value(self.sp).cast(word)
        info = pending.create_unwind_info(FrameId(at, pending))
        for name, offset in registers:
            saved = (at + offset).cast(word.pointer()).dereference()
            info.add_saved_register(name, saved)
        info.add_saved_register(stack, at + size)
        return info


class FrameId:
    """What frame 0 is taken for: one further in than the coroutine's."""

    def __init__(self, sp, pending):
        self.sp = sp
        self.pc = pending.read_register("pc")


PRETENCE = Pretence()


def list_of(head, member, kind):
    """Yield the structures that a struct cel__link strings together."""
    kind = gdb.lookup_type(kind)
    offset = next(f.bitpos // 8 for f in kind.fields() if f.name == member)
    link = head["next"]
    while link != head.address:
        at = link.cast(gdb.lookup_type("unsigned long")) - offset
        yield at.cast(kind.pointer()).dereference()
        link = link["next"]


def workers():
    """Yield every struct cel__worker of the program."""
    try:
        places = gdb.parse_and_eval("cel__see_workers")
        count = int(gdb.parse_and_eval("cel__see_nworkers"))
    except gdb.error as error:
        raise gdb.GdbError(f"no Celadon with debugging information: {error}")
    for i in range(count):
        if int(places[i]) != 0:
            yield places[i].dereference()


def text_of(pointer):
    """Return the string at `pointer`, or None."""
    return None if int(pointer) == 0 else pointer.string()


def who(coro):
    """Return number and name of a coroutine."""
    name = text_of(coro["name"])
    return f"#{int(coro['id'])}" + (f' "{name}"' if name else "")


def awaited(coro):
    """Return what a parked coroutine waits for."""
    words = text_of(coro["waits_for"]) or "?"
    note = coro["awaiting"]
    if int(note) == 0:
        return words
    kind = text_of(note["kind"]["what"])
    if kind == "an operation":
        op = note["object"].cast(gdb.lookup_type("struct cel__op").pointer())
        return f"{words} (fd {int(op['fd'])})"
    if kind in ("the end", "the next value"):
        other = note["object"].cast(
            gdb.lookup_type("struct cel__coro").pointer())
        return f"{kind} of {who(other.dereference())}"
    if kind == "one of several channels":
        choice = note["object"].cast(
            gdb.lookup_type("struct choice").pointer())
        chans = [hex(int(choice["cases"][i]["chan"]))
                 for i in range(min(int(choice["ncases"]), 8))]
        return f"{words} ({', '.join(chans)})"
    where = f" ({hex(int(note['object']))})"
    if kind == "a mutex":
        mutex = note["object"].cast(
            gdb.lookup_type("struct cel_mutex").pointer())
        if int(mutex["holder"]) != 0:
            return f"{words}{where} held by {who(mutex['holder'])}"
    return words + where


def line_of(worker, coro):
    """Return a coroutine's line."""
    state = int(coro["state"])
    line = f"{who(coro)} {STATES[state]}"
    if state == PARKED:
        line += " " + awaited(coro)
    if coro.address == worker["current"]:
        line += f" (on thread {int(worker['see']['thread'])})"
    return line


def show_coros():
    """Print a line a worker and a line a coroutine."""
    for worker in workers():
        print(f"thread {int(worker['see']['thread'])}: "
              f"{int(worker['nalive'])} coroutines")
        for coro in list_of(worker["all"], "all", "struct cel__coro"):
            print("  " + line_of(worker, coro))


def print_frames(frame, first):
    """Print frames from `frame` outwards, numbered from `first`."""
    number = first
    while frame is not None and frame.is_valid():
        place = frame.find_sal()
        name = frame.name() or "??"
        where = ""
        if place.symtab is not None:
            where = f" at {place.symtab.filename}:{place.line}"
        print(f"    #{number} {hex(frame.pc())} in {name}{where}")
        number += 1
        frame = frame.older()


def backtrace_on_thread(number):
    """Print the backtrace of a thread of this process."""
    before = gdb.selected_thread()
    for thread in gdb.selected_inferior().threads():
        if number in thread.ptid:
            thread.switch()
            print_frames(gdb.newest_frame(), 0)
    if before is not None:
        before.switch()


def backtrace(worker, coro):
    """Print the backtrace of one coroutine."""
    if coro.address == worker["current"]:
        backtrace_on_thread(int(worker["see"]["thread"]))
        return
    if not coro["started"]:
        print("    (it has not run yet)")
        return
    if layout() is None:
        print("    (this processor's switch is not known here)")
        return
    PRETENCE.sp = int(coro["sp"])
    gdb.invalidate_cached_frames()
    try:
        print_frames(gdb.newest_frame().older(), 0)
    except gdb.MemoryError:
        print("    (its stack is not in the core file)")
    finally:
        PRETENCE.sp = None
        gdb.invalidate_cached_frames()


class Celadon(gdb.Command):
    """Coroutines: see `help celadon coros`, `bt`, `dump`."""

    def __init__(self):
        super().__init__("celadon", gdb.COMMAND_STACK, prefix=True)


class Coros(gdb.Command):
    """List all coroutines: number, name, what each waits for."""

    def __init__(self):
        super().__init__("celadon coros", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        show_coros()


class Bt(gdb.Command):
    """celadon bt NUMBER: print the backtrace of that coroutine."""

    def __init__(self):
        super().__init__("celadon bt", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        if not argument.strip().lstrip("#").isdigit():
            raise gdb.GdbError("which? celadon bt NUMBER")
        wanted = int(argument.strip().lstrip("#"))
        for worker in workers():
            for coro in list_of(worker["all"], "all", "struct cel__coro"):
                if int(coro["id"]) == wanted:
                    print(line_of(worker, coro))
                    backtrace(worker, coro)
                    return
        raise gdb.GdbError(f"there is no coroutine #{wanted}")


class Dump(gdb.Command):
    """Print all coroutines and the backtrace of each."""

    def __init__(self):
        super().__init__("celadon dump", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        for worker in workers():
            print(f"thread {int(worker['see']['thread'])}: "
                  f"{int(worker['nalive'])} coroutines")
            for coro in list_of(worker["all"], "all", "struct cel__coro"):
                print(line_of(worker, coro))
                backtrace(worker, coro)


register_unwinder(None, PRETENCE, replace=True)
for command in (Celadon, Coros, Bt, Dump):
    command()
