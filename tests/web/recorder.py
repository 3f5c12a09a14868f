# SPDX-License-Identifier: Apache-2.0
"""A forwarder that notes the request lines a foreign client sends; loopback only.

It runs in a process of its own, because GDAL holds Python's lock while it waits for an answer.
"""

from __future__ import annotations

import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_plus, urlsplit


@dataclass(frozen=True)
class Recording:
    """Address to send a client to, and where its requests are noted."""

    url: str
    log: Path

    @property
    def requests(self) -> list[str]:
        """Decoded request targets so far."""
        return [unquote_plus(line) for line in self.log.read_text().splitlines()]


@contextmanager
def recording(target: str, log: Path) -> Iterator[Recording]:
    """A recorder in front of `target`."""
    command = [sys.executable, "-m", "tests.web.recorder", target, str(log)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            assert process.stdout is not None
            yield Recording(process.stdout.readline().strip(), log)
        finally:
            process.terminate()


class _Forwarder(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, target: str, log: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        address = urlsplit(target)
        self.target = (address.hostname or "", address.port or 0)
        self.log = log.open("a", buffering=1)


class _Handler(socketserver.BaseRequestHandler):
    server: _Forwarder

    def handle(self) -> None:
        upstream = socket.create_connection(self.server.target)
        back = threading.Thread(target=self._pass, args=(upstream, self.request, False), daemon=True)
        back.start()
        self._pass(self.request, upstream, True)
        back.join(5)

    def _pass(self, source: socket.socket, sink: socket.socket, note: bool) -> None:
        try:
            while data := source.recv(65536):
                if note and data.split(b" ", 1)[0] in (b"GET", b"HEAD", b"OPTIONS", b"POST"):
                    self.server.log.write(data.split(b" ", 2)[1].decode() + "\n")
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return


if __name__ == "__main__":
    with _Forwarder(sys.argv[1], Path(sys.argv[2])) as forwarder:
        print(f"http://127.0.0.1:{forwarder.server_address[1]}", flush=True)
        forwarder.serve_forever()
