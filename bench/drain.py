"""`python -m bench.drain PORT SOCKETS`: connects so many times, and reads until all are closed.

A process of its own, which sleeps until something comes, as a client does: waking it is a part of what a send costs.
"""

import selectors
import socket
import sys

AT_ONCE = 256 * 1024


def main(port: int, count: int) -> None:
    """Read and forget."""
    with selectors.DefaultSelector() as selector:
        for _ in range(count):
            selector.register(socket.create_connection(("127.0.0.1", port)), selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)
                if not key.fileobj.recv(AT_ONCE):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
