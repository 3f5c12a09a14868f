# SPDX-License-Identifier: Apache-2.0
"""MapServer's OGC API Features: two FastCGI processes behind nginx."""

from __future__ import annotations

import subprocess
from typing import ClassVar

import psycopg2.extensions

from benchmarks.asks import Ask
from benchmarks.peers.base import Endpoint, NotOffered, box_text
from benchmarks.peers.fastcgi import cgi_program, serve_fastcgi
from benchmarks.tiling import TileAsk

__all__ = ["Mapserver"]


class Mapserver(Endpoint):
    """Debian's package; connections are kept (`CLOSE_CONNECTION=DEFER`)."""

    name: ClassVar[str] = "mapserver"
    tolerance: ClassVar[float] = 1.1e-6
    ordered: ClassVar[bool] = False

    def version(self) -> str:
        program = cgi_program("mapserv", "cgi-mapserver")
        text = subprocess.run([program, "-v"], capture_output=True, text=True, check=False).stdout
        return f"{' '.join(text.split()[:3])}, 2 FastCGI processes behind nginx"

    def start(self) -> None:
        mapfile, config = self.folder / "bench.map", self.folder / "mapserver.conf"
        mapfile.write_text(self._mapfile())
        config.write_text(f'CONFIG\nENV\nMS_MAP_PATTERN "."\nEND\nMAPS\nBENCH "{mapfile}"\nEND\nEND\n')
        serve_fastcgi(
            self.server,
            cgi_program("mapserv", "cgi-mapserver"),
            {"MAPSERVER_CONFIG_FILE": str(config)},
            "",
        )
        self.server.wait("/BENCH/ogcapi/collections?f=json")

    def target(self, ask: Ask) -> str:
        if ask.what == "landing":
            return "/BENCH/ogcapi/?f=json"
        if ask.what == "collections":
            return "/BENCH/ogcapi/collections?f=json"
        name = self.city.layers[ask.layer].name
        if ask.equals is not None:
            raise NotOffered("8.0 ignores filters by attribute and has no CQL")
        if ask.offset is not None:
            raise NotOffered("8.0 ignores `offset`: its own next link gives page one again")
        if ask.fid is not None:
            return f"/BENCH/ogcapi/collections/{name}/items/{ask.fid}?f=json"
        box = "" if ask.bbox is None else f"&bbox={box_text(ask.bbox)}"
        return f"/BENCH/ogcapi/collections/{name}/items?f=json&limit={ask.limit}{box}"

    def tile(self, ask: TileAsk) -> str:
        if ask.fields is not None:
            raise NotOffered("the attributes are the mapfile's")
        name = self.city.layers[ask.layer].name
        return f"/?map=BENCH&mode=tile&tilemode=gmap&layers={name}&map.imagetype=mvt&tile={ask.x}+{ask.y}+{ask.z}"

    def _mapfile(self) -> str:
        dsn = psycopg2.extensions.parse_dsn(self.city.dsn)
        connection = " ".join(f"{k}={v}" for k, v in dsn.items())
        templates = "/usr/share/mapserver/ogcapi/templates/html-plain"
        w, s, e, n = self.city.layers["facility.component"].extent
        out = [
            f'MAP\nNAME "BENCH"\nSIZE 400 400\nEXTENT {w} {s} {e} {n}\nUNITS DD\nPROJECTION "epsg:4326" END',
            f'WEB METADATA "ows_enable_request" "*" "oga_title" "benchmark" '
            f'"oga_onlineresource" "http://127.0.0.1:{self.server.port}/BENCH/ogcapi" '
            f'"oga_html_template_directory" "{templates}" END END',
            'OUTPUTFORMAT NAME "mvt" DRIVER "MVT" FORMATOPTION "EXTENT=4096" FORMATOPTION "EDGE_BUFFER=4" END',
        ]
        for layer in self.city.layers.values():
            kind = {"point": "POINT", "linestring": "LINE", "multilinestring": "LINE"}.get(layer.geometry, "POLYGON")
            out.append(
                f'LAYER NAME "{layer.name}" TYPE {kind} STATUS ON CONNECTIONTYPE POSTGIS CONNECTION "{connection}"\n'
                f'DATA "geom FROM {layer.copy.replace(chr(34), "")} USING UNIQUE fid USING SRID=4326"\n'
                'PROCESSING "CLOSE_CONNECTION=DEFER" PROJECTION "epsg:4326" END TEMPLATE "void"\n'
                f"EXTENT {' '.join(map(str, layer.extent))}\n"
                f'METADATA "ows_title" "{layer.name}" "gml_include_items" "all" "gml_types" "auto" '
                '"ows_srs" "EPSG:4326" "gml_featureid" "fid" "oga_featureid" "fid" '
                '"ows_max_features" "50000" "oga_max_limit" "50000" END\nEND'
            )
        return "\n".join([*out, "END\n"])
