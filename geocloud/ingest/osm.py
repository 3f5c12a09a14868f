# SPDX-License-Identifier: Apache-2.0
"""OpenStreetMap files (PBF, XML) onto the layers of a mapping, with bounded memory.

One pass over the file writes what each layer takes to a temporary file, then each layer is loaded from its
own as from any other source. Areas are assembled from closed ways and from multipolygon relations. The key is
the element's type and number. OpenStreetMap data are under ODbL 1.0, which their collections say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import osmium
import pyarrow as pa
import shapely

from geocloud.catalogue.registry import Catalogue
from geocloud.catalogue.spec import Source as Origin
from geocloud.catalogue.spec import Text
from geocloud.errors import IngestError, UnreadableFile
from geocloud.ingest.load import LoadOptions, LoadResult, Progress, load
from geocloud.ingest.osm_mapping import LayerRule, OsmMapping, Take, read_mapping
from geocloud.ingest.report import Finding
from geocloud.ingest.source import Batch, Source, SourceField, Workspace
from geocloud.settings import Settings

__all__ = ["OsmFile", "load_osm"]

_GEOMETRY = "geometry"
_CODE = "code"
_BLOCK = 5_000
# Beyond this size node positions are kept in a file instead of memory.
_IN_MEMORY_BYTES = 200_000_000
_TYPES: dict[Take, str] = {"line": "LineString", "area": "MultiPolygon", "point": "Point"}


def load_osm(
    url: str,
    path: Path,
    catalogue: Catalogue,
    *,
    settings: Settings,
    options: LoadOptions | None = None,
    mapping: OsmMapping | None = None,
    progress: Progress | None = None,
) -> list[LoadResult]:
    """Loads an OpenStreetMap file into all layers of the mapping that are published, one transaction a layer.

    `options.origin` gets the licence ODbL-1.0 when it names none. A full load retires only rows of the same
    origin. Raises UnreadableFile, and what `load` raises.
    """
    options = options or LoadOptions()
    mapping = mapping or read_mapping(settings.city.layers_folder / "osm.yaml")
    wanted = {name: rule for name, rule in mapping.layers.items() if name in catalogue.layers}
    if not wanted:
        raise IngestError(
            "None of the layers of the OpenStreetMap mapping is published.",
            "OSM 映射文件中的图层均未发布。",
            todo_en="Run `geocloud layers sync` first.",
            todo_zh="请先运行 `geocloud layers sync`。",
        )
    options = replace(options, origin=_origin(options.origin, path), full_scope="source")
    results = []
    workspace = Workspace()
    try:
        found = OsmFile(path, OsmMapping(layers=wanted), workspace)
        found.read(progress)
        for name in wanted:
            source = found.source(name)
            results.append(
                load(
                    url,
                    source,
                    catalogue.layers[name],
                    None,
                    settings=settings,
                    options=options,
                    findings=source.findings,
                    facts={"crs": {"crs": "EPSG:4326"}},
                    progress=progress,
                )  # fmt: skip
            )
    finally:
        workspace.close()
    return results


def _origin(given: Origin | None, path: Path) -> Origin:
    if given is None:
        name = Text(zh=f"OpenStreetMap({path.name})", en=f"OpenStreetMap ({path.name})")
        return Origin(title=name, licence="ODbL-1.0", url="https://www.openstreetmap.org/copyright")
    return given if given.licence != "UNCLEAR" else given.model_copy(update={"licence": "ODbL-1.0"})


@dataclass
class _Sink:
    """Rows of one layer on their way to its temporary file."""

    rule: LayerRule
    path: Path
    names: list[str]
    writer: Any = None
    block: list[tuple[Any, ...]] = field(default_factory=list)
    rows: int = 0
    unnamed: int = 0
    unusable: Counter[str] = field(default_factory=Counter)

    def add(self, code: str, tags: Any, geometry: str) -> None:
        values = []
        for name, rule in self.rule.fields.items():
            value, usable = rule.read(tags)
            values.append(value)
            if not usable:
                self.unusable[name] += 1
        self.block.append((code, *values, geometry))
        if len(self.block) >= _BLOCK:
            self.flush()

    def flush(self) -> None:
        if self.writer is None:
            schema = pa.schema([(n, pa.string()) for n in self.names] + [(_GEOMETRY, pa.binary())])
            self.writer = pa.ipc.new_file(str(self.path), schema)
        if not self.block:
            return
        columns = list(zip(*self.block, strict=True))
        arrays = [pa.array(c, pa.string()) for c in columns[:-1]]
        arrays.append(pa.array([bytes.fromhex(g) for g in columns[-1]], pa.binary()))
        self.writer.write_batch(pa.record_batch(arrays, names=[*self.names, _GEOMETRY]))
        self.rows += len(self.block)
        self.block = []


class OsmFile:
    """An OpenStreetMap file sorted into the layers of a mapping; `read` once, then `source` by layer."""

    def __init__(self, path: Path, mapping: OsmMapping, workspace: Workspace) -> None:
        self.path, self.mapping = path, mapping
        self._workspace = workspace
        folder = workspace.folder()
        self._folder = folder
        self._sinks = {
            name: _Sink(rule, folder / f"{i}.arrow", [_CODE, *rule.fields])
            for i, (name, rule) in enumerate(mapping.layers.items())
        }
        self.broken: Counter[str] = Counter()

    def read(self, progress: Progress | None = None) -> None:
        """Reads the whole file; UnreadableFile when it is cut off or no OpenStreetMap file."""
        try:
            self._read(progress or (lambda *_: None))
        except (RuntimeError, OSError) as exc:
            raise UnreadableFile(
                f"{self.path.name} cannot be read as OpenStreetMap data: {exc}.",
                f"{self.path.name} 无法作为 OpenStreetMap 数据读取:{exc}。",
                todo_en="Get the file again; the download may have been cut off.",
                todo_zh="请重新获取文件,可能下载不完整。",
            ) from None
        finally:
            for sink in self._sinks.values():
                sink.flush()
                sink.writer.close()

    def source(self, layer: str) -> Source:
        """The rows of one layer."""
        return _OsmSource(self, layer, self._sinks[layer], self._workspace)

    def _read(self, progress: Progress) -> None:
        lines, areas, points = ({n: self._sinks[n] for n in self.mapping.of(t)} for t in ("line", "area", "point"))
        chosen = osmium.filter.KeyFilter(*sorted(self.mapping.keys))
        storage = "flex_mem"
        if self.path.stat().st_size > _IN_MEMORY_BYTES:
            storage = f"sparse_file_array,{self._folder / 'nodes'}"
        elements = osmium.FileProcessor(str(self.path)).with_locations(storage).with_areas(chosen).with_filter(chosen)
        shapes = osmium.geom.WKBFactory()
        for done, element in enumerate(elements):
            if done % _BLOCK == 0:
                progress("read", done, None)
            tags = dict(element.tags)
            if isinstance(element, osmium.osm.Node):
                self._put(points, f"node/{element.id}", tags, lambda e=element: shapes.create_point(e.location))
            elif isinstance(element, osmium.osm.Way):
                self._put(lines, f"way/{element.id}", tags, lambda e=element: shapes.create_linestring(e))
            elif isinstance(element, osmium.osm.Area):
                code = f"{'way' if element.from_way() else 'relation'}/{element.orig_id()}"
                both = {**areas, **points}
                self._put(both, code, tags, lambda e=element: shapes.create_multipolygon(e))

    def _put(self, sinks: dict[str, _Sink], code: str, tags: dict[str, str], shape: Any) -> None:
        geometry: str | None = None
        for name, sink in sinks.items():
            if not sink.rule.wants(tags):
                continue
            if any(t not in tags for t in sink.rule.needs):
                sink.unnamed += 1
                continue
            if geometry is None:
                try:
                    geometry = shape()
                except (RuntimeError, ValueError):
                    # A way with fewer than two known nodes, or an area that could not be put together.
                    self.broken[name] += 1
                    continue
            sink.add(code, tags, geometry)


class _OsmSource(Source):
    """One layer's rows out of its temporary file; areas become points where the layer takes points."""

    driver = "OSM"
    crs = "EPSG:4326"
    crs_by_format = True

    def __init__(self, file: OsmFile, layer: str, sink: _Sink, workspace: Workspace) -> None:
        super().__init__(str(file.path), file.path, workspace)
        self.layer = layer
        self.fields = tuple(SourceField(n, "text") for n in sink.names)
        self.geometry_type = _TYPES[sink.rule.take]
        self.count = sink.rows
        self._sink = sink
        if sink.unnamed:
            self.findings.append(Finding.of("GC-518", count=sink.unnamed, tags=", ".join(sink.rule.needs)))
        if file.broken[layer]:
            self.findings.append(Finding.of("GC-519", count=file.broken[layer]))
        for name, count in sorted(sink.unusable.items()):
            self.findings.append(Finding.of("GC-520", field=name, count=count))

    def batches(self, rows: int = 50_000) -> Iterator[Batch]:
        """The layer's rows, at most `rows` at a time."""
        with pa.memory_map(str(self._sink.path)) as mapped:
            reader = pa.ipc.open_file(mapped)
            per_batch = max(1, rows // _BLOCK)
            done = 0
            for first in range(0, reader.num_record_batches, per_batch):
                last = min(first + per_batch, reader.num_record_batches)
                table = pa.Table.from_batches([reader.get_batch(i) for i in range(first, last)])
                shapes = shapely.from_wkb(table.column(_GEOMETRY).to_numpy())
                if self._sink.rule.take == "point":
                    areal = shapely.get_dimensions(shapes) == 2
                    shapes = np.where(areal, shapely.point_on_surface(shapes), shapes)
                yield Batch(done, table.num_rows, table.drop_columns([_GEOMETRY]), shapes)
                done += table.num_rows
