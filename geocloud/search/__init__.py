# SPDX-License-Identifier: Apache-2.0
"""Search: places by name, pinyin, initials or code, and positions in any notation people paste."""

from geocloud.search.coordinates import Reading, read_position
from geocloud.search.places import Place, Places

__all__ = ["Place", "Places", "Reading", "read_position"]
