# SPDX-License-Identifier: Apache-2.0
"""Search: places by name, pinyin, initials or code, and positions in any notation people paste."""

from geocloud.search.coordinates import Reading, read_position
from geocloud.search.lookup import Named, lookup_sql, read_named
from geocloud.search.places import Place, Places

__all__ = ["Named", "Place", "Places", "Reading", "lookup_sql", "read_named", "read_position"]
