# SPDX-License-Identifier: Apache-2.0
"""Draws a generated project in real QGIS: `/usr/bin/python3 tools/qgis_picture.py ADDRESS PICTURE [W,S,E,N | sheet]`.

ADDRESS is that of a project, such as http://127.0.0.1:8600/qgis/city.qgz. The map is drawn with the layers that are
switched on, within the given box or the project's own; `sheet` draws the print layout, as a picture or, when PICTURE
ends in .pdf, as PDF. Needs the system's QGIS (`tools/setup.sh qgis`), no display, and nothing of geocloud. The pictures
of docs/gis-staff.md are made so, by `make pictures-qgis` while a demo city is served.
"""

from __future__ import annotations

import os
import sys
import tempfile
import urllib.request
from collections import Counter
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
from qgis.core import (  # type: ignore[import-not-found]  # noqa: E402
    QgsApplication,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsLayoutExporter,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QSize, Qt  # type: ignore[import-not-found]  # noqa: E402
from qgis.PyQt.QtGui import QImage  # type: ignore[import-not-found]  # noqa: E402

_SIZE = QSize(1200, 900)


def main(address: str, picture: Path, what: str) -> int:
    """0 when the picture was made."""
    application = QgsApplication([], False)
    application.initQgis()
    project = QgsProject.instance()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "project.qgz"
        with urllib.request.urlopen(address) as answer:  # noqa: S310  the address is the caller's own
            path.write_bytes(answer.read())
        draw = _printed if what == "sheet" else _drawn
        made = project.read(str(path)) and draw(project, picture, what)
        project.clear()
    application.exitQgis()
    return 0 if made else 1


def _drawn(project: QgsProject, picture: Path, box: str) -> bool:
    settings = QgsMapSettings()
    settings.setDestinationCrs(project.crs())
    settings.setOutputSize(_SIZE)
    settings.setOutputDpi(96)
    extent = QgsRectangle(*map(float, box.split(","))) if box else project.viewSettings().defaultViewExtent()
    settings.setExtent(extent)
    settings.setBackgroundColor(project.backgroundColor())
    settings.setTransformContext(project.transformContext())
    root = project.layerTreeRoot()
    settings.setLayers([x for x in root.layerOrder() if root.findLayer(x).isVisible()])
    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(None))
    context.appendScope(QgsExpressionContextUtils.mapSettingsScope(settings))
    settings.setExpressionContext(context)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    for error in job.errors():
        print(error.layerID, error.message, file=sys.stderr)
    return bool(_few_colours(job.renderedImage()).save(str(picture)))


def _few_colours(image: QImage) -> QImage:
    """The picture in 256 of its colours, others as the nearest of them: a third of the file's size."""
    image = image.convertToFormat(QImage.Format_RGB32)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    # The commonest of each hue first, so that rare hues are not lost.
    common = [color for color, _ in Counter(memoryview(bits).cast("I")).most_common()]
    kinds = {color & 0xFFC0C0C0: color for color in reversed(common)}
    table = list(dict.fromkeys([*kinds.values(), *common]))[:256]
    return image.convertToFormat(QImage.Format_Indexed8, table, Qt.ThresholdDither)


def _printed(project: QgsProject, picture: Path, _what: str) -> bool:
    exporter = QgsLayoutExporter(project.layoutManager().layouts()[0])
    if picture.suffix == ".pdf":
        done = exporter.exportToPdf(str(picture), QgsLayoutExporter.PdfExportSettings())
    else:
        settings = QgsLayoutExporter.ImageExportSettings()
        settings.dpi = 80
        done = exporter.exportToImage(str(picture), settings)
    return bool(done == QgsLayoutExporter.Success)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ""))
