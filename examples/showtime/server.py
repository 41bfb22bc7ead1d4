"""The server of the talk, in today's Python: a thread per connection.

    python server.py [PORT]

It is run as it is, and once more with two lines on top:

    from celadon.monkey import patch_all
    patch_all()
"""

import logging
import socket
import sys
import threading


def handle_request(s):
    try:
        s.recv(1024)
        s.send(b'HTTP/1.0 200 OK\r\n')
        s.send(b'Content-Type: text/plain\r\n')
        s.send(b'Content-Length: 5\r\n')
        s.send(b'\r\n')
        s.send(b'hello')
        s.close()
    except Exception as e:
        logging.exception(e)


def test(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('0.0.0.0', port))
    s.listen(512)
    while True:
        cli, addr = s.accept()
        logging.info('accept %s', addr)
        t = threading.Thread(target=handle_request, args=(cli,))
        t.daemon = True
        t.start()


if __name__ == '__main__':
    test(int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
