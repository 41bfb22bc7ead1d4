"""An echo server of callbacks: a Protocol on uvloop, its fastest way.

    python echo_uvloop.py PORT
"""

import asyncio
import sys

import uvloop


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def main(port):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, '127.0.0.1', port, backlog=1024)
    await server.serve_forever()


loop = uvloop.new_event_loop()
loop.run_until_complete(main(int(sys.argv[1])))
