"""Patching `ssl`: the class of the sockets that contexts make."""

import ssl


def patch():
    """Let all contexts, those made before too, make sockets of ours."""
    from celadon.ssl import SSLSocket

    ssl.SSLContext.sslsocket_class = SSLSocket
