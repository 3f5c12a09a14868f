# SPDX-License-Identifier: Apache-2.0
"""The processes of this room, for whoever offers them."""

from __future__ import annotations

from geocloud.jobs.model import Process
from geocloud.overlay import interpolate_process, restamp_process

__all__ = ["PROCESSES"]

PROCESSES: tuple[Process, ...] = (interpolate_process.PROCESS, restamp_process.PROCESS)
