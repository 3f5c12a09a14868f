# SPDX-License-Identifier: Apache-2.0
"""Every messy file that can be read, through the load into PostGIS, row by row against what is in the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import shapely

from geocloud.catalogue.registry import Layer
from geocloud.db.cluster import Urls
from geocloud.errors import CrsUndecided, RowsRejected, UnreadableFile
from geocloud.ingest.crs_doctor import diagnose
from geocloud.ingest.files import FileOptions, load_file
from geocloud.ingest.load import LoadOptions
from geocloud.ingest.readers import open_source
from geocloud.settings import Settings
from tests.ingest.loading import ask, field, load, publish, spec
from tests.ingest.messy_outcomes import OUTCOMES, Outcome

LOADED = [o for o in OUTCOMES if o.result != "refused"]
# Degrees; storage is the very double that placing gives, only repairs and normalising may move a vertex.
EXACT = 1e-12


@pytest.fixture(scope="module")
def layer(urls: Urls) -> Iterator[Layer]:
    fields = [field("code", required=True), field("name")]
    yield publish(urls.owner, spec("messy", "geometry", fields=fields, valid_time={}))["facility.messy"]


@pytest.mark.parametrize("outcome", LOADED, ids=lambda o: o.id)
def test_rows_in_the_database_are_those_of_the_file(
    outcome: Outcome, urls: Urls, layer: Layer, shared_data: Path, tmp_path: Path
) -> None:
    path = shared_data / "messy" / outcome.path
    reading = FileOptions(crs=outcome.named, layer=outcome.layer, add={"gc_key": "{row}"})
    columns = {"code": "gc_key"}
    if outcome.truth is not None and outcome.truth.name is not None:
        columns["name"] = outcome.truth.name
    shapes, names, unread = delivered(path, outcome)
    broken = unread | {i for i, s in enumerate(shapes) if not storable(s)}
    if outcome.result == "asks":
        with pytest.raises(CrsUndecided):
            load(urls.owner, path, layer, tmp_path, reading=FileOptions(layer=outcome.layer), columns={})
    ask(urls.owner, f"DELETE FROM {layer.table}")
    kept: Path | None
    try:
        result = load(urls.owner, path, layer, tmp_path, reading=reading, columns=columns)
        kept = result.quarantine
        assert (result.read, result.rejected) == (len(shapes), len(broken))
    except RowsRejected as exc:
        kept = Path(exc.context["quarantine"])
        assert len(broken) == len(shapes) == exc.context["rejected"]
    set_aside = set() if kept is None else {int(r) - 1 for r in geopandas.read_file(kept)["gc_row"]}
    assert set_aside == broken

    rows = ask(urls.owner, f"SELECT code::int - 1, ST_AsEWKB(geom), name FROM {layer.table}")
    assert {r[0] for r in rows} == set(range(len(shapes))) - broken
    for place, ewkb, name in rows:
        if "name" in columns:
            assert name == (names[place] or None)
        same_shape(None if ewkb is None else shapely.from_wkb(bytes(ewkb)), shapes[place])


@pytest.mark.parametrize("outcome", [o for o in OUTCOMES if o.result == "refused"], ids=lambda o: o.id)
def test_refused_files_change_nothing(
    outcome: Outcome, urls: Urls, layer: Layer, shared_data: Path, tmp_path: Path
) -> None:
    before = ask(urls.owner, "SELECT version FROM geocloud.layer_state WHERE layer = %s", layer.id)
    with pytest.raises(UnreadableFile) as caught:
        load_file(
            urls.owner, shared_data / "messy" / outcome.path, layer, settings=Settings(), options=LoadOptions(),
            reading=FileOptions(layer=outcome.layer),
        )  # fmt: skip
    assert caught.value.context["rule"] == outcome.rule
    assert ask(urls.owner, "SELECT version FROM geocloud.layer_state WHERE layer = %s", layer.id) == before


def delivered(path: Path, outcome: Outcome) -> tuple[list[Any], list[Any], set[int]]:
    """Placed geometries, names where compared, and the places of rows the reader could not make sense of."""
    shapes: list[Any] = []
    names: list[Any] = []
    unread: set[int] = set()
    with open_source(path, layer=outcome.layer) as source:
        placement = None
        if source.geometry_type is not None:
            placement = diagnose(source, Settings().city.city_bbox, named=outcome.named).placement
        for batch in source.batches(100):
            unread |= {f.row - 1 for f in batch.findings if f.severity == "error" and f.row}
            geometry = [None] * batch.rows if batch.geometry is None else batch.geometry
            if placement is not None and batch.geometry is not None:
                geometry = placement.apply(batch.geometry)
            shapes += list(geometry)
            if outcome.truth is not None and outcome.truth.name is not None:
                names += batch.table.column(outcome.truth.name).to_pylist()
            else:
                names += [None] * batch.rows
    return shapes, names, unread


def storable(shape: Any) -> bool:
    """Whether a shape has a place and an extent of its dimension, found without the loader's own code."""
    if shape is None or shape.is_empty:
        return True
    xy = shapely.get_coordinates(shape)
    if not np.isfinite(xy).all() or np.abs(xy[:, 0]).max() > 180 or np.abs(xy[:, 1]).max() > 90:
        return False
    if shape.geom_type in ("Polygon", "MultiPolygon"):
        return bool(shapely.buffer(shape, 0).area > 0 or shapely.make_valid(shape).area > 0)
    if shape.geom_type in ("LineString", "MultiLineString", "LinearRing"):
        return bool(len(np.unique(xy, axis=0)) > 1)
    return True


def same_shape(stored: Any, source: Any) -> None:
    if source is None or source.is_empty:
        assert stored is None
        return
    assert stored is not None and shapely.get_srid(stored) == 4490
    assert not stored.has_z
    flat = shapely.force_2d(source)
    if shapely.get_dimensions(flat) == 2:
        assert stored.is_valid
        if not flat.is_valid:
            mended = shapely.make_valid(flat, method="structure", keep_collapsed=False)
            assert stored.area == pytest.approx(mended.area, rel=1e-9)
            return
    if flat.geom_type == "LinearRing":
        flat = shapely.LineString(flat.coords)
    ours, theirs = (shapely.normalize(shapely.remove_repeated_points(s)) for s in (stored, flat))
    assert shapely.equals_exact(ours, theirs, EXACT) or shapely.equals_exact(
        shapely.normalize(stored), shapely.normalize(flat), EXACT
    )
