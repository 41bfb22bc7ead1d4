"""An application under gunicorn, with two lines: it loads them, or has them.

All requests are in the application at the same time, or none is answered.
"""

import socket
import subprocess
import sys
from importlib.util import find_spec

import pytest
from support import PATCHED, bounded, sweep

pytestmark = pytest.mark.skipif(
    find_spec("gunicorn") is None, reason="scripts/venv.sh installs gunicorn"
)

MANY = 30

APPLICATION = f"""
import threading
barrier = threading.Barrier({MANY})

def app(environ, start_response):
    barrier.wait()
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""


def ask(address):
    """Ask as many as must be served at once; return the answers."""
    clients = [socket.create_connection(address) for _ in range(MANY)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    answers = []
    for client in clients:
        with client, client.makefile("rb") as stream:
            answers.append(stream.read())
    return answers


@pytest.mark.parametrize("where", ["application", "settings", "command"])
def test_a_worker_serves_many_at_once(tmp_path, where):
    app, conf = tmp_path / "app.py", tmp_path / "gunicorn.conf.py"
    app.write_text(PATCHED * (where == "application") + APPLICATION)
    # Its socket's path might be too long, and nobody asks there.
    conf.write_text(PATCHED * (where == "settings")
                    + "control_socket_disable = True\n")
    run = ["-m", "celadon"] if where == "command" else []
    with socket.create_server(("127.0.0.1", 0), backlog=MANY) as listener:
        process = subprocess.Popen(
            [*bounded(50), sys.executable, *run, "-m", "gunicorn",
             "-b", f"fd://{listener.fileno()}", "-k", "gthread",
             "--threads", str(MANY), "--timeout", "0", "app:app"],
            cwd=tmp_path, start_new_session=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            pass_fds=[listener.fileno()],
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        )  # fmt: skip
        address = listener.getsockname()
    answers = []
    try:
        answers = ask(address)
    except OSError as error:
        answers.append(repr(error).encode())
    finally:
        process.terminate()
        said, _ = process.communicate()
        sweep(process.pid)
    assert all(a.endswith(b"\r\n\r\nhello") for a in answers), said.decode()
