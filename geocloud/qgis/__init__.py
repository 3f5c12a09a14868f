# SPDX-License-Identifier: Apache-2.0
"""QGIS projects of the catalogue, made without QGIS."""

from geocloud.qgis.model import BASE, Reading, Request
from geocloud.qgis.project import project, project_xml

__all__ = ["BASE", "Reading", "Request", "project", "project_xml"]
