"""An echo server as gevent means it to be written: its StreamServer.

    python echo_gevent.py PORT
"""

import sys

from gevent.server import StreamServer


def serve(connection, address):
    while data := connection.recv(4096):
        connection.sendall(data)


StreamServer(('127.0.0.1', int(sys.argv[1])), serve,
             backlog=1024).serve_forever()
