# SPDX-License-Identifier: Apache-2.0
"""Servers as child processes: start, wait for the first good answer, weigh, stop."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Answer", "Server", "Unavailable", "cpu_of", "executed", "family", "free_port", "get", "spent"]

START_SECONDS = 90.0


class Unavailable(Exception):
    """A peer cannot take part; the text says why and goes into the table."""


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, its body whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def get(port: int, path: str, headers: Mapping[str, str] | None = None, timeout: float = 120.0) -> Answer:
    """One GET on a connection of its own; OSError or HTTPException when there is no whole answer."""
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        begun = time.perf_counter()
        conn.request("GET", path, headers=dict(headers or {}))
        response = conn.getresponse()
        body = response.read()
        return Answer(
            response.status,
            {k.lower(): v for k, v in response.getheaders()},
            body,
            time.perf_counter() - begun,
        )
    finally:
        conn.close()


def executed(port: int, process: str, asks: Sequence[Mapping[str, object]], timeout: float = 120.0) -> list[float]:
    """Seconds from the request to the whole answer of each execution, one after another on one connection."""
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    took = []
    try:
        for inputs in asks:
            begun = time.perf_counter()
            conn.request(
                "POST", f"/processes/{process}/execution", json.dumps({"inputs": inputs}),
                {"content-type": "application/json"},
            )  # fmt: skip
            response = conn.getresponse()
            body = response.read()
            took.append(time.perf_counter() - begun)
            if response.status != 200:
                raise RuntimeError(f"{process}: {response.status} {body[:300]!r}")
    finally:
        conn.close()
    return took


def cpu_of(pids: Sequence[int]) -> dict[int, float]:
    """Processor seconds so far, user and system, of each live process."""
    found = {}
    for pid in pids:
        try:
            times = psutil.Process(pid).cpu_times()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        found[pid] = times.user + times.system
    return found


def spent(before: Mapping[int, float], after: Mapping[int, float]) -> float:
    """Processor seconds between two looks; what a process used that ended in between is not seen."""
    return sum(max(0.0, seconds - before.get(pid, 0.0)) for pid, seconds in after.items())


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    try:
        leader = psutil.Process(pid)
        return [p.pid for p in (leader, *leader.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


class Server:
    """One or more commands that together answer on a port; each is the leader of its own process group."""

    def __init__(self, name: str, port: int, folder: Path) -> None:
        self.name, self.port, self.folder = name, port, folder
        self.log = folder / f"{name}.log"
        self.start_seconds = 0.0
        self._children: list[subprocess.Popen[bytes]] = []

    def run(self, command: Sequence[str], env: Mapping[str, str] | None = None, stdin: bytes | None = None) -> None:
        """Starts one command with the environment of this process and `env` on top, its output in the log."""
        with self.log.open("ab") as out:
            child = subprocess.Popen(
                list(command),
                cwd=self.folder,
                env={**os.environ, **(env or {})},
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._children.append(child)
        if stdin is not None and child.stdin is not None:
            child.stdin.write(stdin)
            child.stdin.close()

    def wait(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """The first answer 200 to a path; Unavailable with the end of the log when it does not come."""
        begun = time.perf_counter()
        last = "no answer"
        while time.perf_counter() - begun < START_SECONDS:
            for child in self._children:
                if child.poll() is not None:
                    raise Unavailable(f"{self.name} ended with code {child.returncode}: {self.tail()}")
            try:
                answer = get(self.port, path, headers, timeout=30)
            except (OSError, http.client.HTTPException) as exc:
                last = repr(exc)
            else:
                if answer.status == 200:
                    self.start_seconds = time.perf_counter() - begun
                    return answer
                last = f"status {answer.status}: {answer.body[:300]!r}"
            time.sleep(0.02)
        raise Unavailable(f"{self.name} gave no good answer to {path}: {last}; {self.tail()}")

    def tail(self) -> str:
        """The last lines of the log."""
        if not self.log.exists():
            return ""
        return " | ".join(self.log.read_text(errors="replace").strip().splitlines()[-4:])[-600:]

    def pids(self) -> list[int]:
        """Every live process of the server."""
        return [pid for child in self._children for pid in family(child.pid)]

    def pss(self) -> int:
        """Proportional set size of all processes in bytes: shared pages are counted once over all of them."""
        total = 0
        for pid in self.pids():
            try:
                total += psutil.Process(pid).memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return total

    def cpu(self) -> dict[int, float]:
        """Processor seconds used so far by each live process."""
        return cpu_of(self.pids())

    def stop(self) -> None:
        """Ends every process this object started, gently first."""
        for child in reversed(self._children):
            _signal(child, signal.SIGTERM)
        deadline = time.monotonic() + 10
        for child in self._children:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(child, signal.SIGKILL)
                child.wait()
            _signal(child, signal.SIGKILL)
        self._children.clear()


def _signal(child: subprocess.Popen[bytes], number: int) -> None:
    """To the whole process group, which outlives a leader that has already gone."""
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):
        return
