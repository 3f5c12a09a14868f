# SPDX-License-Identifier: Apache-2.0
"""The synthetic demo city: seeded, deterministic, and labelled synthetic wherever it shows."""

from geocloud.demo.loading import Loaded, clear, expected, generate, load

__all__ = ["Loaded", "clear", "expected", "generate", "load"]
