# SPDX-License-Identifier: Apache-2.0
"""The panel of culture in the web map: what is on nearby, and how well districts are served."""

from __future__ import annotations

from geocloud.catalogue.spec import Text
from geocloud.sectors.culture.near import VENUES
from geocloud.sectors.culture.on import EVENTS
from geocloud.sectors.culture.stops import SITES
from geocloud.sectors.panel import Ask, Column, Function, Panel

__all__ = ["PANEL"]

_ON = Function(
    "culture-on",
    asks=(Ask("point", pick="point"), Ask("radius_m"), Ask("datetime", pick="period"),
          Ask("category", codes="event_kind"), Ask("free")),
    layers=(EVENTS, VENUES),
    rows="events",
    columns=(
        Column("name", Text(zh="活动", en="Event")),
        Column("distance_m", Text(zh="距离", en="Distance"), "metres"),
        Column("next_opening", Text(zh="最近可到访", en="Next opening"), "time"),
        Column("category", Text(zh="类别", en="Kind"), codes="event_kind"),
        Column("free", Text(zh="免费", en="Free"), "yes_no"),
        Column(
            "position_of", Text(zh="位置", en="Position"),
            words={"event": Text(zh="活动自身", en="Its own"), "venue": Text(zh="所在场馆", en="That of its venue")},
        ),
    ),
    figures=(
        Column("events/numberReturned", Text(zh="活动数", en="Events"), "count"),
        Column("events/from", Text(zh="自", en="From"), "time"),
        Column("events/to", Text(zh="至", en="To"), "time"),
        Column(
            "events/complete", Text(zh="是否列全", en="Whether these are all"),
            words={"true": Text(zh="全部列出", en="All are listed"),
                   "false": Text(zh="还有更多,请缩小半径", en="There are more; take a smaller radius")},
            tones={"true": "good", "false": "warning"},
        ),
    ),
    example={"point": {"type": "Point", "coordinates": [115.98, 36.45]}, "radius_m": 5_000},
)  # fmt: skip
_REACH = Function(
    "culture-reach",
    asks=(Ask("districts"), Ask("distance_m"), Ask("kinds", codes="venue_kind")),
    layers=(VENUES,),
    rows="table/rows",
    columns=(
        Column("name", Text(zh="行政区", en="District")),
        Column(
            "verdict", Text(zh="结论", en="Verdict"),
            words={"reached": Text(zh="可达", en="Reached"), "not-reached": Text(zh="不可达", en="Not reached"),
                   "not-judged": Text(zh="未判定", en="Not judged")},
            tones={"reached": "good", "not-reached": "danger", "not-judged": "unknown"},
        ),
        Column("nearest_m", Text(zh="最近场馆", en="Nearest venue"), "metres"),
        Column("per_10000", Text(zh="每万人场馆", en="Venues for 10,000"), "number"),
        Column("population", Text(zh="人口", en="Persons"), "count"),
        Column("venues_inside", Text(zh="区内场馆", en="Venues inside"), "count"),
        Column("why", Text(zh="未判定原因", en="Why not judged")),
    ),
    figures=(
        Column("table/totals/share_reached", Text(zh="可达人口比例", en="Persons reached"), "share"),
        Column("table/totals/persons_judged", Text(zh="参与判定的人口", en="Persons judged"), "count"),
        Column("table/totals/venues", Text(zh="场馆", en="Venues"), "count"),
        Column("table/totals/venues_without_position", Text(zh="无位置的场馆", en="Without a position"), "count"),
    ),
    verdict="verdict",
    place=("{districts}", "code"),
    example={"districts": "base.township", "distance_m": 3_000},
)  # fmt: skip

_OPEN = {
    "open": Text(zh="开放", en="Open"), "opens-later": Text(zh="稍后开放", en="Opens later"),
    "closed": Text(zh="不开放", en="Closed"), "not-known": Text(zh="开放时间不明", en="Hours not known"),
}  # fmt: skip
_TRAIL = Function(
    "culture-trail",
    asks=(
        Ask("start", pick="point"),
        Ask("theme", words={"all": Text(zh="全部", en="All"), "heritage": Text(zh="文物", en="Heritage"),
                            "venues": Text(zh="场馆", en="Venues"), "intangible": Text(zh="非遗", en="Intangible")}),
        Ask("minutes"), Ask("stay_min"), Ask("begins"),
        Ask("stops", layer=SITES, field="code"),
        Ask("along", words={"roads": Text(zh="沿道路", en="Along roads"), "straight": Text(zh="直线", en="Straight")}),
    ),
    layers=(SITES, VENUES),
    rows="stops",
    draws=("way",),
    columns=(
        Column("name", Text(zh="站点", en="Stop")),
        Column("number", Text(zh="次序", en="Number"), "count"),
        Column("arrives", Text(zh="到达", en="Arrives"), "time"),
        Column("open", Text(zh="开放情况", en="Opening"), words=_OPEN,
               tones={"open": "good", "opens-later": "warning", "closed": "danger", "not-known": "unknown"}),
        Column("opens", Text(zh="开放时刻", en="Opens"), "time"),
        Column("walk_m", Text(zh="步行", en="Walk"), "metres"),
        Column("walk_min", Text(zh="用时", en="Takes"), "minutes"),
        Column("position_quality", Text(zh="定位方式", en="Position"), codes="position_quality"),
    ),
    figures=(
        Column("trail/length_m", Text(zh="全程步行", en="Walk in all"), "metres"),
        Column("trail/walk_min", Text(zh="步行用时", en="Walking time"), "minutes"),
        Column("trail/total_min", Text(zh="含停留", en="With stays"), "minutes"),
        Column("trail/stops", Text(zh="站点", en="Stops"), "count"),
        Column("trail/fits", Text(zh="时间", en="Time"),
               words={"true": Text(zh="来得及", en="It fits"), "false": Text(zh="超出总时间", en="It takes longer")},
               tones={"true": "good", "false": "warning"}),
        Column("trail/along", Text(zh="路程", en="Way"),
               words={"roads": Text(zh="沿道路", en="Along roads"),
                      "straight": Text(zh="按直线", en="As the crow flies")},
               tones={"straight": "note"}),
    ),
    verdict="open",
    label="number",
    example={"start": {"type": "Point", "coordinates": [115.98, 36.45]}, "minutes": 240},
)  # fmt: skip

PANEL = Panel(Text(zh="文化一张图", en="Culture"), (_ON, _REACH, _TRAIL))
