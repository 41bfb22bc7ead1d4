"""What is replaced by what, as far as it is a matter of names.

One entry a part: modules of the standard library, the module of ours that
has the replacements under the same names, and the names.  Names that a
version of Python does not have are passed over.
"""

_SYNC = ("LockType", "RLock", "_local", "allocate", "allocate_lock", "lock")

PARTS = {
    "time": [
        ("time", "celadon.time", ("sleep",)),
    ],
    "os": [
        (
            "os",
            "celadon.os",
            (
                "fork",
                "forkpty",
                "read",
                "wait",
                "wait3",
                "wait4",
                "waitid",
                "waitpid",
                "write",
            ),
        ),
    ],
    "thread": [
        (
            "_thread",
            "celadon.thread",
            _SYNC
            + (
                "_ThreadHandle",
                "_make_thread_handle",
                "get_ident",
                "start_joinable_thread",
                "start_new",
                "start_new_thread",
            ),
        ),
        ("_multiprocessing", "celadon.multiprocessing", ("SemLock",)),
    ],
    "signal": [
        (
            "signal",
            "celadon.signal",
            (
                "getsignal",
                "pause",
                "set_wakeup_fd",
                "signal",
                "sigtimedwait",
                "sigwait",
                "sigwaitinfo",
            ),
        ),
    ],
    # What that module makes of these finds them by name: socketpair(),
    # create_connection() and the like.
    "socket": [
        ("socket", "celadon.socket", ("SocketType", "socket")),
    ],
    "dns": [
        (
            "socket",
            "celadon.socket",
            (
                "getaddrinfo",
                "gethostbyaddr",
                "gethostbyname",
                "gethostbyname_ex",
                "getnameinfo",
            ),
        ),
    ],
    "select": [
        ("select", "celadon.select", ("epoll", "poll", "select")),
    ],
    "selectors": [
        (
            "selectors",
            "celadon.selectors",
            (
                "DefaultSelector",
                "EpollSelector",
                "PollSelector",
                "SelectSelector",
            ),
        ),
    ],
    "queue": [
        (
            "queue",
            "celadon.queue",
            ("LifoQueue", "PriorityQueue", "Queue", "SimpleQueue"),
        ),
        ("_queue", "celadon.queue", ("SimpleQueue",)),
    ],
}

# Names in `threading` and what they name in `_thread`.
THREADING = {
    "Lock": "allocate_lock",
    "_CRLock": "RLock",
    "_LockType": "LockType",
    "_ThreadHandle": "_ThreadHandle",
    "_allocate_lock": "allocate_lock",
    "_make_thread_handle": "_make_thread_handle",
    "_start_joinable_thread": "start_joinable_thread",
    "_start_new_thread": "start_new_thread",
    "get_ident": "get_ident",
    "local": "_local",
}
