# SPDX-License-Identifier: Apache-2.0
"""Culture (文化一张图): events, intangible heritage and trails beside the facility layers of venues and sites."""

from __future__ import annotations

from pathlib import Path

from geocloud.catalogue.spec import Text
from geocloud.sectors.culture import on, panel, reach, trail

__all__ = ["LAYERS", "PANEL", "PROCESSES", "TITLE"]

TITLE = Text(zh="文化一张图", en="Culture")
LAYERS = Path(__file__).parent / "layers"
PROCESSES = (on.PROCESS, reach.PROCESS, trail.PROCESS)
PANEL = panel.PANEL
