# SPDX-License-Identifier: Apache-2.0
"""Two plans of the same parcels, the second one re-drawn with noise; made up, in a layer each."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import psycopg2
import shapely
from numpy.typing import NDArray

from geocloud.catalogue.publish import sync
from geocloud.catalogue.spec import LayerSpec, read_layers
from geocloud.db.cluster import Urls
from geocloud.db.pool import connect
from geocloud.planning.matrix import Matrix
from geocloud.settings import Settings

__all__ = ["FIRST", "SECOND", "load_pair", "matrix", "parcels"]

FIRST, SECOND = "bench.plan_a", "bench.plan_b"
# Side of a parcel, corners along a side, and how far the second drawing lies off, in metres.
_SIDE_M, _CORNERS, _NOISE_M = 60.0, 5, 0.6
_EAST, _NORTH = 1 / 89_500, 1 / 110_970
_WEST, _SOUTH = 115.5, 36.0


def _both(text: str) -> dict[str, str]:
    return {"zh": text, "en": text}


def parcels(side: int, *, noise: int | None = None) -> NDArray[Any]:
    """`side` by `side` parcels without gaps or overlaps (EPSG:4490); with `noise`, a seed, each corner is moved."""
    rng = np.random.default_rng(7)
    n = side * _CORNERS + 1
    # Corners lie on a grid of lines; those between crossings are bent, so that borders are no straight lines.
    at = np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), axis=-1) * (_SIDE_M / _CORNERS)
    at = at + rng.uniform(-2.5, 2.5, at.shape)
    if noise is not None:
        turn = np.random.default_rng(noise)
        angle, far = turn.uniform(0, 2 * np.pi, at.shape[:2]), turn.uniform(0, _NOISE_M, at.shape[:2])
        at = at + np.stack([np.cos(angle), np.sin(angle)], axis=-1) * far[..., None]
    at = np.round(at * (_EAST, _NORTH) + (_WEST, _SOUTH), 9)
    i, k = (a.ravel() * _CORNERS for a in np.meshgrid(np.arange(side), np.arange(side), indexing="ij"))
    step = np.arange(_CORNERS)
    rings = np.concatenate(
        [
            at[(i[:, None] + step), k[:, None]],
            at[i[:, None] + _CORNERS, (k[:, None] + step)],
            at[(i[:, None] + _CORNERS - step), k[:, None] + _CORNERS],
            at[i[:, None], (k[:, None] + _CORNERS - step)],
            at[i, k][:, None],
        ],
        axis=1,
    )
    return np.asarray(shapely.polygons(rings))


def classes(count: int, *, seed: int) -> NDArray[Any]:
    """A tenth of the parcels of each plan is built where the other one may not be."""
    draw = np.random.default_rng(11).random(count) < 0.4
    flip = np.random.default_rng(seed).random(count) < 0.05
    return np.where(draw ^ flip, "built", "open").astype(object)


def load_pair(urls: Urls, side: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Publishes and fills both layers; shapes and classes of both."""
    made = {}
    for layer in (FIRST, SECOND):
        fields = [{"name": "bsm", "title": _both("Code"), "required": True}, {"name": "dldm", "title": _both("Class")}]
        made[layer] = LayerSpec.model_validate(
            {"id": layer, "title": _both(layer), "description": _both("Made for the benchmark"),
             "geometry": "multipolygon", "key": ["bsm"], "fields": fields}
        )  # fmt: skip
    layers, codes = read_layers(Settings().city.layers_folder)
    with connect(urls.owner, application_name="geocloud bench") as conn:
        sync(conn, layers | made, codes)
    found: list[NDArray[Any]] = []
    for layer, noise, seed in ((FIRST, None, 1), (SECOND, 3, 2)):
        shapes = parcels(side, noise=noise)
        named = classes(len(shapes), seed=seed)
        conn = psycopg2.connect(urls.writer)
        with conn, conn.cursor() as cur:
            text = io.StringIO()
            coded = shapely.to_wkb(shapely.set_srid(_multi(shapes), 4490), hex=True, include_srid=True)
            for n, (code, wkb) in enumerate(zip(named, coded, strict=True)):
                text.write(f"{n}\t{code}\t{wkb}\n")
            text.seek(0)
            cur.execute(f"DELETE FROM {layer}")
            cur.copy_expert(f"COPY {layer} (bsm, dldm, geom) FROM STDIN", text)
        conn.close()
        conn = psycopg2.connect(urls.owner)
        conn.autocommit = True
        with conn.cursor() as cur:
            cur.execute(f"VACUUM ANALYZE {layer}")
        conn.close()
        found += [shapes, named]
    return found[0], found[1], found[2], found[3]


def _multi(shapes: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(shapely.multipolygons(shapes, indices=np.arange(len(shapes))))


def matrix(*, everything: bool) -> Matrix:
    """Every pair of parcels, or those of which one plan says built and the other one open."""
    legal = {"text": _both("none"), "source": _both("made for the benchmark"), "example": True}

    def rule(number: str, a: str | None, b: str | None) -> dict[str, Any]:
        sides = {"a": {"layer": FIRST, "class_field": "dldm"}, "b": {"layer": SECOND, "class_field": "dldm"}}
        for side, code in (("a", a), ("b", b)):
            if code is not None:
                sides[side]["filter"] = f"dldm = '{code}'"
        return {"number": number, "title": _both(number), "kind": "2", "bureau": "planning", "legal": legal} | sides

    rules = [rule("A1", None, None)] if everything else [rule("C1", "built", "open"), rule("C2", "open", "built")]
    shared = {"tolerance_m": 1.2, "tolerance_source": _both("noise"), "least_m2": 1.0, "least_source": _both("made up")}
    return Matrix.model_validate(
        {"name": "bench", "version": "1", "title": _both("bench"), "days": 30, "rules": rules, **shared}
    )
