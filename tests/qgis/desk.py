# SPDX-License-Identifier: Apache-2.0
"""Run by QGIS's own Python, not by the tests': answers questions about a project, one JSON object a line.

Called as `python3 desk.py PROJECT_URL FOLDER`; each line of standard input is a question, an object with `do` naming a
function below and its arguments. Nothing of geocloud is imported here.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path

from qgis.core import (  # type: ignore[import-not-found]
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsExpression,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsFeatureRequest,
    QgsLayerTreeModel,
    QgsLayoutExporter,
    QgsLayoutItemLegend,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
    QgsVectorLayerJoinInfo,
    QgsVectorLayerUtils,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QSize  # type: ignore[import-not-found]

FOLDER = Path(sys.argv[2])


def tree():
    """Groups with their entries, as the layer panel shows them."""
    return [
        {"group": group.name(), "entries": [entry(node) for node in group.children()]}
        for group in project.layerTreeRoot().children()
    ]


def entry(node):
    layer = node.layer()
    if layer is None:
        return {"title": node.name(), "valid": False}
    scaled = layer.hasScaleBasedVisibility()
    told = {
        "title": node.name(),
        "id": layer.id(),
        "shown": node.isVisible(),
        "valid": layer.isValid(),
        "provider": layer.providerType(),
        "source": layer.source(),
        "crs": layer.crs().authid(),
        "furthest": layer.minimumScale() if scaled else 0,
        "abstract": layer.metadata().abstract(),
        "licences": layer.metadata().licenses(),
        "rights": layer.metadata().rights(),
    }
    if layer.providerType() == "OAPIF":
        told["geometry"] = QgsWkbTypes.geometryDisplayString(layer.geometryType())
        told["renderer"] = layer.renderer().type() if layer.renderer() else "none"
        told["read_only"] = layer.readOnly()
        told["labels"] = layer.labelsEnabled()
    return told


def about():
    """The project itself."""
    view = project.viewSettings().defaultViewExtent()
    return {
        "title": project.title(),
        "crs": project.crs().authid(),
        "ellipsoid": project.ellipsoid(),
        "extent": [view.xMinimum(), view.yMinimum(), view.xMaximum(), view.yMaximum()],
        "layouts": [x.name() for x in project.layoutManager().layouts()],
        "complaints": complaints,
    }


def fields(layer):
    """Fields of a layer with alias, widget and rules."""
    found = project.mapLayer(layer)
    told = {}
    for place, field in enumerate(found.fields()):
        setup = found.editorWidgetSetup(place)
        told[field.name()] = {
            "alias": found.attributeAlias(place),
            "type": field.typeName(),
            "widget": setup.type(),
            "choices": setup.config().get("map"),
            "rule": found.constraintExpression(place),
        }
    return told


def reload(layer):
    """Asks the layer's source anew, as F5 with the layer chosen does."""
    project.mapLayer(layer).dataProvider().reloadData()
    return True


def legend(layer):
    """Categories of a layer: label, value, colour."""
    renderer = project.mapLayer(layer).renderer()
    if renderer.type() == "pointCluster":
        renderer = renderer.embeddedRenderer()
    if renderer.type() != "categorizedSymbol":
        return None
    return {
        "field": renderer.classAttribute(),
        "classes": [[c.label(), c.value(), c.symbol().color().name()] for c in renderer.categories()],
    }


def legend_rows():
    """What the layer panel shows below each entry that reads features: words, and whether a picture is beside them."""
    root = project.layerTreeRoot()
    model = QgsLayerTreeModel(root)
    told = {}
    for found in root.findLayers():
        if found.layer().providerType() == "OAPIF":
            nodes = model.layerLegendNodes(found)
            shown = [[str(n.data(0) or ""), not n.data(1).isNull() if n.data(1) else False] for n in nodes]
            told[found.layerId()] = shown
    return told


def drawings(layer):
    """What QGIS's own cache makes of the drawings in the symbols of a layer of points, one text a drawing."""
    renderer = project.mapLayer(layer).renderer()
    if renderer.type() == "pointCluster":
        renderer = renderer.embeddedRenderer()
    symbols = renderer.legendSymbolItems()
    drawn = [part for item in symbols for part in item.symbol().symbolLayers() if part.layerType() == "SvgMarker"]
    cache = QgsApplication.svgCache()
    return [
        bytes(cache.svgContent(p.path(), 24, p.fillColor(), p.strokeColor(), 0, 1, 0, True)).decode() for p in drawn
    ]


def exported(layer, name, subset=""):
    """The features as a GeoPackage; the writer's own complaint, or nothing."""
    source = project.mapLayer(layer).clone()
    if subset and not source.setSubsetString(subset):
        return "the subset was refused"
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.layerName = "GPKG", "exported"
    context = project.transformContext()
    error, message, _, _ = QgsVectorFileWriter.writeAsVectorFormatV3(source, str(FOLDER / name), context, options)
    return message if error else ""


def added(address, name, provider="ogr"):
    """A layer added by its address, as from the data source manager, with the types of its fields."""
    made = QgsVectorLayer(address, name, provider)
    if not made.isValid():
        return {"valid": False}
    project.addMapLayer(made)
    return {
        "valid": True,
        "id": made.id(),
        "crs": made.crs().authid(),
        "geometry": QgsWkbTypes.displayString(made.wkbType()),
        "types": {f.name(): f.typeName() for f in made.fields()},
        "count": len(list(made.getFeatures())),
    }


def joined(layer, other, key, other_key, wanted):
    """A field of another layer joined to a layer, by the layer's key."""
    target = project.mapLayer(layer)
    join = QgsVectorLayerJoinInfo()
    join.setJoinLayer(project.mapLayer(other))
    join.setJoinFieldName(other_key)
    join.setTargetFieldName(key)
    join.setUsingMemoryCache(True)
    join.setPrefix("joined_")
    target.addJoin(join)
    told = {f[key]: f[f"joined_{wanted}"] for f in target.getFeatures()}
    target.removeJoin(other)
    return told


def count(layer, subset="", expression="", box=None, key=None):
    """Features that come when all are fetched, by subset, by expression, by box; and their keys."""
    source = project.mapLayer(layer).clone()
    if subset and not source.setSubsetString(subset):
        return {"error": "the subset was refused"}
    request = QgsFeatureRequest()
    if expression:
        request.setFilterExpression(expression)
    if box:
        request.setFilterRect(QgsRectangle(*box))
    found = list(source.getFeatures(request))
    if box:
        found = [f for f in found if f.geometry().intersects(QgsRectangle(*box))]
    return {"count": len(found), "keys": sorted(f[key] for f in found) if key else None}


def values(layer, expression, key):
    """What an expression says of each feature, by key: `represent_value` gives the words that the table shows."""
    source = project.mapLayer(layer)
    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(source))
    parsed = QgsExpression(expression)
    told = {}
    for feature in source.getFeatures():
        context.setFeature(feature)
        told[feature[key] or ""] = parsed.evaluate(context)
    return told


def broken_rules(layer, changes):
    """Fields whose form would refuse these values, with the sentences it would show."""
    source = project.mapLayer(layer)
    feature = next(source.getFeatures(QgsFeatureRequest().setLimit(1)))
    for name, value in changes.items():
        feature[name] = value
    told = {}
    for place, field in enumerate(source.fields()):
        sound, errors = QgsVectorLayerUtils.validateAttribute(source, feature, place)
        if not sound:
            told[field.name()] = errors
    return told


def render(name, box, layers=None, size=(1200, 900), labels=True):
    """A picture of the visible layers, or of some; says what failed and what a pixel is in degrees."""
    settings = QgsMapSettings()
    settings.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:4490"))
    settings.setOutputSize(QSize(*size))
    settings.setOutputDpi(96)
    settings.setExtent(QgsRectangle(*box))
    settings.setBackgroundColor(project.backgroundColor())
    settings.setTransformContext(project.transformContext())
    settings.setFlag(QgsMapSettings.Antialiasing, True)
    settings.setFlag(QgsMapSettings.DrawLabeling, labels)
    root = project.layerTreeRoot()
    shown = [x for x in root.layerOrder() if root.findLayer(x).isVisible()]
    settings.setLayers([project.mapLayer(i) for i in layers] if layers else shown)
    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(None))
    context.appendScope(QgsExpressionContextUtils.mapSettingsScope(settings))
    settings.setExpressionContext(context)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    seen = settings.visibleExtent()
    return {
        "saved": job.renderedImage().save(str(FOLDER / name)),
        "errors": [e.message for e in job.errors()],
        "extent": [seen.xMinimum(), seen.yMinimum(), seen.xMaximum(), seen.yMaximum()],
        "scale": settings.scale(),
    }


def printed(name):
    """The first layout as PDF."""
    exporter = QgsLayoutExporter(project.layoutManager().layouts()[0])
    return exporter.exportToPdf(str(FOLDER / name), QgsLayoutExporter.PdfExportSettings())


def legend_room():
    """Width and height in mm that the legend of the first layout has, and those it needs."""
    item = next(i for i in project.layoutManager().layouts()[0].items() if isinstance(i, QgsLayoutItemLegend))
    has = item.rect().size()
    item.setResizeToContents(True)
    item.adjustBoxSize()
    needs = item.rect().size()
    return {"has": [has.width(), has.height()], "needs": [needs.width(), needs.height()]}


complaints: list[str] = []
application = QgsApplication([], False)
application.initQgis()
application.messageLog().messageReceived.connect(lambda text, tag, level: level and complaints.append(f"{tag}: {text}"))
project = QgsProject.instance()
path = FOLDER / "opened.qgz"
with urllib.request.urlopen(sys.argv[1]) as answer:
    path.write_bytes(answer.read())
DOORS = {
    f.__name__: f
    for f in (
        tree, about, fields, legend, legend_rows, drawings, exported, added, joined, count, values, broken_rules,
        render, printed, reload, legend_room,
    )
}  # fmt: skip
print(json.dumps({"read": project.read(str(path)), "error": project.error()}), flush=True)
for line in sys.stdin:
    question = json.loads(line)
    answer = DOORS[question.pop("do")](**question)
    print(json.dumps(answer, default=lambda value: None), flush=True)
project.clear()
application.exitQgis()
