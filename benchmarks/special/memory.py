# SPDX-License-Identifier: Apache-2.0
"""What an export costs in memory: PSS of all processes of a server, sampled while it is under way."""

from __future__ import annotations

import threading

from benchmarks.asks import Ask
from benchmarks.city import CAMERA, COMPONENT
from benchmarks.peers.base import Endpoint, NotOffered
from benchmarks.process import get
from benchmarks.report import Finding
from benchmarks.special.base import Context, special
from benchmarks.workloads import EXPORT

__all__ = ["export_memory"]

LIMIT_MIB = 50


@special("memory", "memory of an export of 50,000")
def export_memory(context: Context) -> list[Finding]:
    """Growth of each server started afresh and asked a few small questions first."""
    found = []
    for name, endpoint in context.endpoints.items():
        ask = Ask("items", CAMERA, limit=EXPORT)
        try:
            target = endpoint.target(ask)
        except NotOffered:
            continue
        endpoint.stop()
        endpoint.start()
        for _ in range(20):
            endpoint.get(Ask("items", COMPONENT, limit=10))
        before = endpoint.server.pss()
        peak, size = _peak(endpoint, target)
        growth = (peak - before) / 2**20
        ours = name.startswith("geocloud")
        found.append(
            Finding(
                "memory of an export",
                name,
                growth,
                "MiB more",
                f"below {LIMIT_MIB} MiB" if ours else "",
                growth < LIMIT_MIB if ours else None,
                f"PSS before {before / 2**20:.0f} MiB, answer of {size / 2**20:.1f} MiB",
            )
        )
    return found


def _peak(endpoint: Endpoint, target: str) -> tuple[int, int]:
    """Highest PSS seen during one request, and the bytes of its body."""
    peak, done = endpoint.server.pss(), threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, endpoint.server.pss())
            done.wait(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        answer = get(endpoint.server.port, target, endpoint.headers)
    finally:
        done.set()
        watcher.join()
    if answer.status != 200:
        raise RuntimeError(f"{endpoint.name}: export answered {answer.status}")
    return max(peak, endpoint.server.pss()), len(answer.body)
