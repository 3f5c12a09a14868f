# SPDX-License-Identifier: Apache-2.0
"""Which processes there are: those of the house, and those of packages that name themselves `geocloud.sectors`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType

import structlog

from geocloud.errors import UnknownProcess
from geocloud.jobs.model import Process
from geocloud.planning.processes import PROCESSES
from geocloud.sectors.grids.processes import PROCESSES as GRIDS

__all__ = ["GROUP", "find", "processes"]

GROUP = "geocloud.sectors"
log = structlog.get_logger(__name__)


@cache
def processes() -> Mapping[str, Process]:
    """Every process by id, in the order of their ids.

    An entry point of the group names a module with a tuple `PROCESSES`. One that cannot be read is left out and
    logged; an id that is taken stays with whom it belongs to.
    """
    found = {p.id: p for p in (*PROCESSES, *GRIDS)}
    for point in entry_points(group=GROUP):
        try:
            offered = tuple(point.load().PROCESSES)
        except Exception as exc:
            log.error("sector module cannot be read", module=point.value, exc_info=exc)
            continue
        for one in offered:
            if found.setdefault(one.id, one) is not one:
                log.error("process id is taken", module=point.value, process=one.id)
    return MappingProxyType(dict(sorted(found.items())))


def find(process_id: str) -> Process:
    """A process by its id; UnknownProcess where there is none."""
    known = processes()
    if process_id not in known:
        raise UnknownProcess(
            f"There is no process `{process_id[:60]}`.", f"没有处理 {process_id[:60]}。",
            todo_en=f"There are: {', '.join(known)}.", todo_zh=f"现有:{'、'.join(known)}。", allowed=list(known),
        )  # fmt: skip
    return known[process_id]
