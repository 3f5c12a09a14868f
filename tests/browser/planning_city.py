# SPDX-License-Identifier: Apache-2.0
"""Difference spots of the demo city, as a comparison of its plans would record them, with slivers among them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import psycopg2
import shapely

from geocloud import demo
from geocloud.db.cluster import Urls
from geocloud.demo.plan_truth import Spot, truth

__all__ = ["LAYER", "Recorded", "record_spots", "remove_spots"]

LAYER = "planning.difference_spot"
_STATES = ("found", "found", "assigned", "coordinating", "proposed", "settled", "accepted")
_BUREAUS = ("planning", "agriculture", "ecology", "water")
_FIRST_DAY = date(2026, 12, 1)


@dataclass(frozen=True)
class Recorded:
    """A spot as it stands in the layer."""

    bsm: str
    spot: Spot
    state: str
    bureau: str
    sliver: str | None

    @property
    def counts(self) -> bool:
        """Whether it is open and no sliver."""
        return self.sliver is None and self.state not in ("settled", "accepted")


def record_spots(urls: Urls) -> list[Recorded]:
    """Writes every planted conflict of the small demo as a spot, marked synthetic, and every fourth of them once more
    as a sliver."""
    made: list[Recorded] = []
    for i, spot in enumerate(truth("small")):
        given = (_STATES[i % len(_STATES)], _BUREAUS[i % len(_BUREAUS)])
        made.append(Recorded(f"CY{i:04d}", spot, *given, None))
        if i % 4 == 0:
            made.append(Recorded(f"SP{i:04d}", spot, "found", given[1], "edge_offset"))
    conn = psycopg2.connect(urls.owner)
    with conn, conn.cursor() as cur:
        cur.execute(
            "INSERT INTO geocloud.source (layer, title_zh, title_en, licence, synthetic) "
            "VALUES (%s, '合成示例图斑(非真实数据)', 'Synthetic spots (not real data)', 'CC0-1.0', true) RETURNING id",
            (LAYER,),
        )
        source = cur.fetchone()[0]
        for i, r in enumerate(made):
            s = r.spot
            cur.execute(
                "INSERT INTO planning.difference_spot (bsm, dkbh, cylxdm, tqmj, gh_a, gh_b, bsm_a, bsm_b, dl_a, dl_b, "
                "gzh, zt, zrbm, jzrq, splx, source_id, geom) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, "
                "%s, %s, %s, %s, ST_Multi(ST_GeomFromWKB(%s, 4490)))",
                (r.bsm, r.bsm, s.kind, s.area_m2, s.layer_a, s.layer_b, s.bsm_a, s.bsm_b, s.class_a, s.class_b, s.rule,
                 r.state, r.bureau, _FIRST_DAY + timedelta(days=i), r.sliver, source, shapely.to_wkb(s.geometry)),
            )  # fmt: skip
    conn.close()
    return made


def remove_spots(urls: Urls) -> None:
    """Takes all spots out again."""
    demo.clear(urls.owner, layers=[LAYER])
