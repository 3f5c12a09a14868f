# SPDX-License-Identifier: Apache-2.0
"""The processes of grids, for the registry."""

from __future__ import annotations

from geocloud.jobs.model import Process
from geocloud.sectors.grids import check, conflicts, fusion, generate, responsible_process

__all__ = ["PROCESSES"]

PROCESSES: tuple[Process, ...] = (
    check.PROCESS,
    generate.PROCESS,
    fusion.PROCESS,
    conflicts.PROCESS,
    responsible_process.PROCESS,
)
