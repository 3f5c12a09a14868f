# SPDX-License-Identifier: Apache-2.0
"""Targets that are no row of the load table, each measured in its own way; a module registers itself."""

from benchmarks.special import (
    cached,
    catalogue,
    conflicts,
    drivers,
    edits,
    freshness,
    gone,
    grid_codes,
    history,
    loading,
    memory,
    seeding,
    sensing,
    servers,
    site_check,
    stamps,
    tiles,
)
from benchmarks.special.base import SPECIALS, Context, Special

__all__ = ["SPECIALS", "Context", "Special", "cached", "catalogue", "conflicts", "drivers", "edits", "freshness",
           "gone", "grid_codes", "history", "loading", "memory", "seeding", "sensing", "servers",
           "site_check", "stamps", "tiles"]  # fmt: skip
