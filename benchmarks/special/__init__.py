# SPDX-License-Identifier: Apache-2.0
"""Targets that are no row of the load table, each measured in its own way; a module registers itself."""

from benchmarks.special import (
    aggregate,
    cached,
    catalogue,
    conflicts,
    drivers,
    edits,
    emergency,
    freshness,
    gone,
    grid_codes,
    history,
    loading,
    memory,
    parking,
    readings_many,
    responsible,
    seeding,
    sensing,
    servers,
    site_check,
    stamps,
    tiles,
)
from benchmarks.special.base import SPECIALS, Context, Special

__all__ = ["SPECIALS", "Context", "Special", "aggregate", "cached", "catalogue", "conflicts", "drivers", "edits",
           "emergency", "freshness", "gone", "grid_codes", "history", "loading", "memory", "parking", "readings_many",
           "responsible", "seeding", "sensing", "servers", "site_check", "stamps", "tiles"]  # fmt: skip
