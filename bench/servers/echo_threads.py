"""An echo server with a thread per connection: plain blocking code.

    python echo_threads.py PORT
"""

import socket
import sys
import threading


def serve(connection):
    with connection:
        while data := connection.recv(4096):
            connection.sendall(data)


def main(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(('127.0.0.1', port))
    listener.listen(1024)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


main(int(sys.argv[1]))
