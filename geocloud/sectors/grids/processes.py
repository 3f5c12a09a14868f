# SPDX-License-Identifier: Apache-2.0
"""The processes of unit grids, for the registry."""

from __future__ import annotations

from geocloud.jobs.model import Process
from geocloud.sectors.grids import check, generate

__all__ = ["PROCESSES"]

PROCESSES: tuple[Process, ...] = (check.PROCESS, generate.PROCESS)
