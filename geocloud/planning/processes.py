# SPDX-License-Identifier: Apache-2.0
"""The processes of this part, for whoever offers them."""

from __future__ import annotations

from geocloud.jobs.model import Process
from geocloud.planning import (
    acceptance_process,
    area_stat,
    burndown,
    candidates_process,
    compliance_process,
    conflict_process,
)

__all__ = ["PROCESSES"]

PROCESSES: tuple[Process, ...] = (
    area_stat.PROCESS,
    compliance_process.PROCESS,
    acceptance_process.PROCESS,
    candidates_process.PROCESS,
    conflict_process.PROCESS,
    burndown.PROCESS,
)
