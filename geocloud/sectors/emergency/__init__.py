# SPDX-License-Identifier: Apache-2.0
"""Emergency (应急管理): hazards, teams, stores and incidents; who is hit, who comes, where people go, what is known."""

from __future__ import annotations

from pathlib import Path

from geocloud.catalogue.spec import Text
from geocloud.sectors.emergency import allocate, circle, dispatch, sitrep
from geocloud.sectors.emergency.panel import PANEL

__all__ = ["LAYERS", "PANEL", "PROCESSES", "TITLE"]

TITLE = Text(zh="应急管理", en="Emergency")
LAYERS = Path(__file__).parent / "layers"
PROCESSES = (circle.PROCESS, dispatch.PROCESS, allocate.PROCESS, sitrep.PROCESS)
