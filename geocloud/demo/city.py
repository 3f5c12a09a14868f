# SPDX-License-Identifier: Apache-2.0
"""One demo city put together: its parts, its division codes, and which of them a place is in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import shapely

from geocloud.demo.columns import Shapes, pick
from geocloud.demo.facts import SIZES, Floats, Ints, Size, SizeName, codes_of, lonlat, stream
from geocloud.demo.land import BOX, Land, nearest
from geocloud.demo.plots import Plots
from geocloud.demo.streets import Streets
from geocloud.demo.waters import Waters

__all__ = ["City", "points"]

_FIRST = "柳河杨集张庄李营王桥赵店刘坊陈湾孙堂马楼朱寨胡屯郭庙何堤高村林台梁园宋岭"
_SECOND = "东西南北上下大小新老前后"
_FAMILY = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎"
    "余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文"
)
_PLACE = ("庄", "村", "屯", "寨", "店", "楼", "集", "营", "堂", "庙")


@dataclass(frozen=True)
class City:
    """The n-th city of a size."""

    size_name: SizeName
    number: int

    @property
    def size(self) -> Size:
        return SIZES[self.size_name]

    @cached_property
    def land(self) -> Land:
        return Land(self.size_name, self.number)

    @cached_property
    def streets(self) -> Streets:
        return Streets(self.land)

    @cached_property
    def waters(self) -> Waters:
        return Waters(self.land)

    @cached_property
    def plots(self) -> Plots:
        return Plots(self.streets, self.waters)

    @property
    def code(self) -> str:
        return codes_of(self.number)[0]

    @property
    def name(self) -> str:
        return codes_of(self.number)[1]

    def lonlat(self, xy: Floats) -> Floats:
        """Longitude and latitude of (n, 2) plane metres."""
        return lonlat(xy[:, 0], xy[:, 1], self.number)

    def stream(self, name: str) -> np.random.Generator:
        return stream(name, self.number)

    @cached_property
    def county_codes(self) -> list[str]:
        return [c.code for c in self.land.counties]

    @cached_property
    def county_names(self) -> list[str]:
        return [c.name for c in self.land.counties]

    @cached_property
    def town_kinds(self) -> list[str]:
        """Subdistricts round each county seat, towns, and a few townships."""
        at, county = self.land.towns
        kinds = []
        for i, c in enumerate(county):
            rank = int(
                np.sum(np.hypot(*(at[county == c] - self.land.seats[c]).T) < np.hypot(*(at[i] - self.land.seats[c])))
            )
            inner = 5 if c == 0 else 2
            kinds.append("subdistrict" if rank < inner else "township" if rank % 7 == 6 else "town")
        return kinds

    @cached_property
    def town_codes(self) -> list[str]:
        """County code and 001-099 for subdistricts, 100-199 for towns, 200-399 for townships (GB/T 10114)."""
        first = {"subdistrict": 1, "town": 100, "township": 200}
        used: dict[tuple[int, str], int] = {}
        codes = []
        for kind, c in zip(self.town_kinds, self.land.towns[1].tolist(), strict=True):
            n = used.get((c, kind), first[kind])
            used[c, kind] = n + 1
            codes.append(f"{self.county_codes[c]}{n:03}")
        return codes

    @cached_property
    def town_names(self) -> list[str]:
        """Invented names that say so; the first subdistrict has its real one."""
        ending = {"subdistrict": "街道", "town": "镇", "township": "乡"}
        names = []
        for i, (kind, code) in enumerate(zip(self.town_kinds, self.town_codes, strict=True)):
            k = (i * 7) % (len(_FIRST) // 2)
            stem = _FIRST[2 * k : 2 * k + 2] if i < len(_FIRST) // 2 else _SECOND[i % 12] + _FIRST[2 * k : 2 * k + 2]
            names.append("古楼街道" if code == "371502001" else f"示例{stem}{ending[kind]}")
        return names

    @cached_property
    def village_town(self) -> Ints:
        return self.land.villages[1]

    @cached_property
    def village_codes(self) -> list[str]:
        """Township code and 001-199 for communities, 200 and on for villages."""
        used: dict[tuple[int, bool], int] = {}
        codes = []
        for town, urban in zip(self.village_town.tolist(), self.village_urban.tolist(), strict=True):
            n = used.get((town, urban), 1 if urban else 200)
            used[town, urban] = n + 1
            codes.append(f"{self.town_codes[town]}{n:03}")
        return codes

    @cached_property
    def village_urban(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        at = self.land.villages[0]
        return np.asarray(self.land.density(at[:, 0], at[:, 1]) > 0.13)

    @cached_property
    def village_names(self) -> list[str]:
        """Invented names of the usual form."""
        rng = self.stream("village names")
        draw = rng.random((len(self.village_town), 3))
        names = []
        for (a, b, c), urban in zip(draw, self.village_urban, strict=True):
            family = _FAMILY[int(a * len(_FAMILY))]
            stem = (_SECOND[int(c * 60)] if c < 0.2 else "") + family
            names.append(
                f"{stem}{_FIRST[int(b * len(_FIRST))]}社区" if urban else f"{stem}{_PLACE[int(b * len(_PLACE))]}"
            )
        return names

    def village_at(self, xy: Floats) -> Ints:
        """Number of the village each place is in; at the rim of the city, of the nearest one."""
        cells = self.land.cells
        step = self.size.admin_step
        col = np.clip(((xy[:, 0] - BOX[0]) / step).astype(np.int64), 0, cells.shape[1] - 1)
        row = np.clip(((xy[:, 1] - BOX[1]) / step).astype(np.int64), 0, cells.shape[0] - 1)
        found = cells[row, col].copy()
        lost = np.flatnonzero(found < 0)
        if lost.size:
            found[lost] = nearest(xy[lost], self.land.villages[0])
        return found

    def divisions(self, xy: Floats, *names: str) -> dict[str, pa.Array]:
        """The wanted ones of county_code, county_name, township_code, township_name of places."""
        village = self.village_at(xy)
        town = self.village_town[village]
        county = self.land.towns[1][town]
        made = {
            "county_code": lambda: pick(self.county_codes, county),
            "county_name": lambda: pick(self.county_names, county),
            "township_code": lambda: pick(self.town_codes, town),
            "township_name": lambda: pick(self.town_names, town),
        }
        return {n: made[n]() for n in names}


def points(lonlat: Floats) -> Shapes:
    """Points of (n, 2) lon/lat."""
    return np.asarray(shapely.points(lonlat), dtype=object)
