"""TLS between threads of a patched process."""

import shutil

import pytest
from support import check_script, run_command

SETUP = """
import socket, ssl, threading, time
def contexts():
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(CERT, KEY)
    client = ssl.create_default_context(cafile=CERT)
    return server, client
def pair(serve, **options):
    listener = socket.create_server(("127.0.0.1", 0))
    def run():
        with listener:
            raw, _ = listener.accept()
        try:
            with SERVER.wrap_socket(raw, server_side=True) as s:
                serve(s)
        except OSError as error:
            errors.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    raw = socket.create_connection(listener.getsockname())
    return CLIENT.wrap_socket(raw, server_hostname="localhost",
                              **options), thread
errors = []
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is missing")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    ended = run_command(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
        "-keyout", key, "-out", cert, "-subj", "/CN=localhost",
        "-days", "2", "-addext", "subjectAltName=DNS:localhost",
    )  # fmt: skip
    assert ended.code == 0, ended
    head = f"CERT, KEY = {str(cert)!r}, {str(key)!r}\n" + SETUP

    def check(code, expected, early=False, **options):
        patch = "from celadon.monkey import patch_all\npatch_all()\n"
        made = "SERVER, CLIENT = contexts()\n"
        if early:
            program = head + made + patch + code
        else:
            program = patch + head + made + code
        check_script(program, expected, patched=False, **options)

    return check


ECHO = """
def serve(s):
    while data := s.recv(1000):
        s.sendall(data.upper())
c, t = pair(serve)
c.sendall(b"hello")
print(c.recv(100), c.version(), c.getpeercert()["subject"][0][0][1])
print(isinstance(c, ssl.SSLSocket), c.context is CLIENT, c.cipher() != ())
c.close(); t.join()
print(errors)
"""


@pytest.mark.parametrize("early", [False, True])
def test_an_echo_over_contexts_made_before_and_after(run, early):
    run(ECHO, "b'HELLO' TLSv1.3 localhost True True True []", early=early)


def test_much_data(run):
    run(
        """
data = bytes(range(256)) * 8000
def serve(s):
    got = b""
    while len(got) < len(data):
        got += s.recv(65536)
    s.sendall(got)
c, t = pair(serve)
threading.Thread(target=c.sendall, args=(data,)).start()
back = bytearray(len(data))
view = memoryview(back)
while view:
    view = view[c.recv_into(view):]
print(back == data)
c.close(); t.join()
""",
        "True",
    )


def test_reading_times_out_and_goes_on(run):
    run(
        """
go = threading.Event()
def serve(s):
    go.wait(5)
    s.sendall(b"late")
c, t = pair(serve)
c.settimeout(0.02)
try:
    c.recv(10)
except TimeoutError as error:
    print(str(error).replace(" ", "-"))
c.setblocking(False)
try:
    c.recv(10)
except ssl.SSLWantReadError:
    print("want")
c.settimeout(5)
go.set()
print(c.recv(10))
c.close(); t.join()
""",
        "The-read-operation-timed-out want b'late'",
    )


def test_a_handshake_that_never_comes_times_out(run):
    run(
        """
listener = socket.create_server(("127.0.0.1", 0))
c = socket.create_connection(listener.getsockname())
c.settimeout(0.05)
try:
    CLIENT.wrap_socket(c, server_hostname="localhost")
except TimeoutError as error:
    print("timed")
""",
        "timed",
    )


def test_unwrap_gives_the_plain_socket_back(run):
    run(
        """
def serve(s):
    plain = s.unwrap()
    plain.sendall(b"plain")
    plain.close()
c, t = pair(serve)
plain = c.unwrap()
print(plain.recv(10))
plain.close(); t.join()
print(errors)
""",
        "b'plain' []",
    )


def test_a_bad_certificate_is_refused(run):
    run(
        """
CLIENT = ssl.create_default_context()
try:
    pair(lambda s: None)
except ssl.SSLCertVerificationError:
    print("refused")
""",
        "refused",
    )


def test_makefile_and_https(run):
    run(
        """
import http.server, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.socket = SERVER.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"https://localhost:{server.server_port}/"
got = []
def get():
    with urllib.request.urlopen(url, context=CLIENT) as answer:
        got.append(answer.read())
ts = [threading.Thread(target=get) for _ in range(5)]
for t in ts: t.start()
for t in ts: t.join()
print(got == [b"hello"] * 5)
""",
        "True",
    )


def test_wrapping_before_connecting(run):
    run(
        """
listener = socket.create_server(("127.0.0.1", 0))
def serve():
    raw, _ = listener.accept()
    with SERVER.wrap_socket(raw, server_side=True) as s:
        s.sendall(b"hi")
threading.Thread(target=serve).start()
with CLIENT.wrap_socket(socket.socket(), server_hostname="localhost") as c:
    c.connect(listener.getsockname())
    print(c.recv(10))
""",
        "b'hi'",
    )
