# SPDX-License-Identifier: Apache-2.0
"""What `up` and `serve` share: the web port, signals, and the address told once it answers."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from geocloud.cli.common import pick
from geocloud.errors import PortInUse, SettingsError
from geocloud.settings import WebSettings

__all__ = [
    "address",
    "announce",
    "check_web_port",
    "die_with_parent",
    "ends_on_signals",
    "listens",
    "workers_end_with_this",
]


def address(web: WebSettings) -> str:
    """The URL a person opens."""
    if web.public_url:
        return web.public_url
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(web.host, web.host)  # noqa: S104  only compared
    return f"http://{host}:{web.port}/"


def check_web_port(web: WebSettings) -> None:
    """Raises PortInUse when something listens on the web port, SettingsError when the host is not of this machine."""
    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((web.host, web.port))
        except socket.gaierror as exc:
            raise _bad_host(web, exc) from None
        except PermissionError:
            raise SettingsError(
                f"Only root may listen on port {web.port}.",
                f"只有 root 可监听端口 {web.port}。",
                todo_en="Choose a port above 1023 with GEOCLOUD_PORT and put a proxy in front.",
                todo_zh="请用 GEOCLOUD_PORT 选择 1023 以上的端口,并在前面放置反向代理。",
            ) from None
        except OSError as exc:
            if exc.errno == 99:  # EADDRNOTAVAIL
                raise _bad_host(web, exc) from None
            raise PortInUse(
                f"Port {web.port} on {web.host}, which the web server is to listen on, is taken.",
                f"网站要监听的端口 {web.host}:{web.port} 已被占用。",
                todo_en="Stop that program, or choose another port with GEOCLOUD_PORT.",
                todo_zh="请停止占用该端口的程序,或用 GEOCLOUD_PORT 另选端口。",
                port=web.port,
            ) from None


def listens(web: WebSettings) -> bool:
    """Whether something accepts connections on the web port."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(web.host, web.host)  # noqa: S104  only compared
    try:
        socket.create_connection((host, web.port), timeout=1).close()
    except OSError:
        return False
    return True


def announce(web: WebSettings) -> None:
    """Prints the address as soon as the server accepts connections; returns at once."""

    def wait() -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if listens(web):
                print(pick("Ready: ", "已就绪:") + address(web), file=sys.stderr, flush=True)
                return
            time.sleep(0.05)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def ends_on_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as Ctrl-C does, so that what was started is stopped; exit code 128 + signal."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        # A second signal must not interrupt the cleaning up.
        for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(s, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {s: signal.signal(s, end) for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        yield
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)


def workers_end_with_this() -> None:
    """Forked children get SIGTERM when this process dies, were it by SIGKILL, so that none goes on holding the port."""
    os.register_at_fork(after_in_child=die_with_parent)


def die_with_parent() -> None:
    """This process gets SIGTERM when the one that started it dies."""
    libc = ctypes.CDLL(None)
    set_death_signal = 1  # PR_SET_PDEATHSIG of Linux
    if hasattr(libc, "prctl"):
        libc.prctl(set_death_signal, signal.SIGTERM)


def _bad_host(web: WebSettings, exc: OSError) -> SettingsError:
    return SettingsError(
        f"GEOCLOUD_HOST is {web.host}, which is no address of this machine ({exc.strerror}).",
        f"GEOCLOUD_HOST 为 {web.host},不是本机地址({exc.strerror})。",
        todo_en="Use 127.0.0.1, 0.0.0.0 or an address of one of its interfaces.",
        todo_zh="请使用 127.0.0.1、0.0.0.0 或本机网卡的地址。",
    )
