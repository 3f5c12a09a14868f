# SPDX-License-Identifier: Apache-2.0
"""QGIS Server's OGC API Features (`/wfs3`): two FastCGI processes behind nginx, offscreen."""

from __future__ import annotations

import subprocess
from typing import ClassVar
from xml.sax.saxutils import escape

import psycopg2.extensions

from benchmarks.asks import Ask
from benchmarks.city import Layer
from benchmarks.peers.base import Endpoint, NotOffered, box_text, encoded
from benchmarks.peers.fastcgi import cgi_program, serve_fastcgi

__all__ = ["Qgis"]

_SRS = """<spatialrefsys><proj4>+proj=longlat +datum=WGS84 +no_defs</proj4><srsid>3452</srsid><srid>4326</srid>
<authid>EPSG:4326</authid><description>WGS 84</description><projectionacronym>longlat</projectionacronym>
<ellipsoidacronym>EPSG:7030</ellipsoidacronym><geographicflag>true</geographicflag></spatialrefsys>"""


class Qgis(Endpoint):
    """Debian's package; a project written here, row counts estimated as is usual for large tables."""

    name: ClassVar[str] = "qgis"
    tolerance: ClassVar[float] = 1.1e-6
    ordered: ClassVar[bool] = False
    exact_box: ClassVar[bool] = False

    def version(self) -> str:
        cgi_program("qgis_mapserv.fcgi", "qgis-server")
        query = ["dpkg-query", "-W", "-f", "${Version}", "qgis-server"]
        text = subprocess.run(query, capture_output=True, text=True, check=False).stdout
        return f"QGIS Server {text}, 2 FastCGI processes behind nginx"

    def start(self) -> None:
        project = self.folder / "bench.qgs"
        project.write_text(self._project())
        env = {
            "QGIS_PROJECT_FILE": str(project),
            "QT_QPA_PLATFORM": "offscreen",
            "QGIS_SERVER_LOG_STDERR": "0",
            "QGIS_OPTIONS_PATH": str(self.folder),
            "HOME": str(self.folder),
            "QGIS_SERVER_API_WFS3_MAX_LIMIT": "10000",
        }
        serve_fastcgi(self.server, cgi_program("qgis_mapserv.fcgi", "qgis-server"), env, "")
        self.server.wait("/wfs3/collections.json")

    def target(self, ask: Ask) -> str:
        if ask.what == "landing":
            return "/wfs3.json"
        if ask.what == "collections":
            return "/wfs3/collections.json"
        if ask.like is not None:
            raise NotOffered("3.22 has no CQL")
        if ask.limit > 10_000:
            raise NotOffered("refuses more than 10,000 features a request")
        collection = f"/wfs3/collections/{self.city.layers[ask.layer].name}/items"
        if ask.fid is not None:
            return f"{collection}/{ask.fid}.geojson"
        query = [f"limit={ask.limit}"]
        if ask.bbox is not None:
            query.append(f"bbox={box_text(ask.bbox)}")
        if ask.equals is not None:
            query.append(f"{ask.equals[0]}={encoded(ask.equals[1])}")
        if ask.offset is not None:
            query.append(f"offset={ask.offset}")
        return f"{collection}.geojson?{'&'.join(query)}"

    def _project(self) -> str:
        layers = "".join(self._layer(layer) for layer in self.city.layers.values())
        tree = "".join(
            f'<layer-tree-layer id="{_id(x)}" name="{x.name}" checked="Qt::Checked" providerKey="postgres"/>'
            for x in self.city.layers.values()
        )
        names = "".join(f"<value>{_id(x)}</value>" for x in self.city.layers.values())
        precisions = "".join(f'<{_id(x)} type="int">8</{_id(x)}>' for x in self.city.layers.values())
        return (
            '<!DOCTYPE qgis PUBLIC "http://mrcc.com/qgis.dtd" "SYSTEM"><qgis projectname="bench" version="3.22.16">'
            f"<title>bench</title><projectCrs>{_SRS}</projectCrs>"
            f"<layer-tree-group>{tree}</layer-tree-group><projectlayers>{layers}</projectlayers>"
            f'<properties><WFSLayers type="QStringList">{names}</WFSLayers>'
            '<SpatialRefSys><ProjectionsEnabled type="int">1</ProjectionsEnabled></SpatialRefSys>'
            f"<WFSLayersPrecision>{precisions}</WFSLayersPrecision>"
            '<WMSServiceTitle type="QString">bench</WMSServiceTitle></properties></qgis>'
        )

    def _layer(self, layer: Layer) -> str:
        dsn = psycopg2.extensions.parse_dsn(self.city.dsn)
        parts = {k: v for k, v in dsn.items() if k in ("dbname", "host", "port", "user", "password")}
        source = " ".join(f"{k}='{v}'" for k, v in parts.items())
        kind = {"point": "Point", "linestring": "LineString", "polygon": "Polygon"}.get(layer.geometry, "MultiPolygon")
        source += (
            f" key='fid' estimatedmetadata=true srid=4326 type={kind} "
            f'checkPrimaryKeyUnicity=\'0\' table="peers"."{layer.name}" (geom)'
        )
        geometry = {"Point": "Point", "LineString": "Line"}.get(kind, "Polygon")
        return (
            f'<maplayer type="vector" geometry="{geometry}" wkbType="{kind}"><id>{_id(layer)}</id>'
            f"<datasource>{escape(source)}</datasource><layername>{layer.name}</layername>"
            f'<shortname>{layer.name}</shortname><srs>{_SRS}</srs><provider encoding="UTF-8">postgres</provider>'
            "<flags><Identifiable>1</Identifiable><Searchable>1</Searchable></flags></maplayer>"
        )


def _id(layer: Layer) -> str:
    """QGIS replaces layer ids of ten characters or fewer by random ones."""
    return f"{layer.name}_of_the_city"
