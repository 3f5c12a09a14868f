# SPDX-License-Identifier: Apache-2.0
"""What planners import: the city's data as GeoDataFrames and folium maps that need no other host, its processes as
functions, and charts.

>>> from geocloud.notebook import City
>>> city = City("http://127.0.0.1:8600")
>>> cells = city.h3("facility.component")
>>> city.map(cells)
>>> city.run("area-stat", layer="planning.present_land").table["total_m2"]

Needs the extra `notebook` of the package (folium, geopandas); the server may be on another machine.
"""

from geocloud.notebook.city import City
from geocloud.notebook.maps import OfflineMap

__all__ = ["City", "OfflineMap"]
