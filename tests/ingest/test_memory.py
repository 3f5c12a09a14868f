# SPDX-License-Identifier: Apache-2.0
"""A load's memory does not grow with its file: a process of its own tells its largest size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyogrio
import shapely

from geocloud.db.cluster import Urls
from tests.ingest.loading import ask, field, publish, spec

ROOT = Path(__file__).resolve().parents[2]
ROWS = 8_000
VERTICES = 600

SCRIPT = """
import sys
from pathlib import Path
import psycopg2
from geocloud.catalogue.publish import read_catalogue
from geocloud.ingest.files import load_file
from tests.ingest.loading import settings
url, layer, home, *paths = sys.argv[1:]
conn = psycopg2.connect(url)
found = read_catalogue(conn).layers
conn.close()
for path in paths:
    load_file(url, Path(path), found[layer], settings=settings(Path(home), batch_mb=4))
    # Not ru_maxrss: it starts from the size of the process that made this one.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) // 1024)
"""


def polygons(path: Path, first: int, rows: int) -> Path:
    """Polygons of many vertices, written in parts so that the test itself stays small."""
    angle = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    for part in range(first, first + rows, 4_000):
        n = min(4_000, first + rows - part)
        centre = np.column_stack([115.5 + np.arange(part, part + n) % 100 / 100, np.full(n, 36.5)])
        xy = centre[:, None, :] + 0.001 * np.column_stack([np.cos(angle), np.sin(angle)])[None]
        shapes = shapely.polygons(xy)
        table = pa.table(
            {"code": [f"{k:08}" for k in range(part, part + n)], "geom": pa.array(shapely.to_wkb(shapes), pa.binary())}
        )
        pyogrio.write_arrow(
            table, path, layer="x", driver="GPKG", geometry_name="geom", geometry_type="Polygon", crs="EPSG:4490",
            append=part > first,
        )  # fmt: skip
    return path


def test_a_file_eight_times_as_large_takes_no_more_memory(urls: Urls, open_tmp: Path, tmp_path: Path) -> None:
    layer = publish(urls.owner, spec("memory", "polygon", fields=[field("code", required=True)], valid_time={}))
    table = layer["facility.memory"].table
    small = polygons(tmp_path / "small.gpkg", 0, ROWS)
    large = polygons(tmp_path / "large.gpkg", ROWS, 8 * ROWS)
    assert large.stat().st_size > 500_000_000
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, urls.owner, "facility.memory", str(tmp_path), str(small), str(large)],
        cwd=ROOT, capture_output=True, timeout=500, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    first, second = map(int, done.stdout.split())
    assert ask(urls.owner, f"SELECT count(*) FROM {table}") == [(9 * ROWS,)]
    # In MB; the large file alone has more than 500.
    assert second - first < 150, (first, second)
    assert second < 700, (first, second)
