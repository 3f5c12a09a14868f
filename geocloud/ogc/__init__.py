# SPDX-License-Identifier: Apache-2.0
"""The OGC face of the catalogue: JSON documents, their HTML pages, problem details, pygeoapi's configuration.

The only package that imports pygeoapi. Documents are plain dicts made from a `Context`; nothing here knows HTTP.
"""

from geocloud.ogc.conformance import CONFORMANCE
from geocloud.ogc.context import CRS84, CRS_URIS, STORAGE_CRS, Context, Document
from geocloud.ogc.documents import collection, collections, conformance, landing
from geocloud.ogc.html import PAGES, render
from geocloud.ogc.openapi import openapi
from geocloud.ogc.problems import problem, problem_of_status
from geocloud.ogc.schemas import queryables, schema, sortables

__all__ = [
    "CONFORMANCE",
    "CRS84",
    "CRS_URIS",
    "PAGES",
    "STORAGE_CRS",
    "Context",
    "Document",
    "collection",
    "collections",
    "conformance",
    "landing",
    "openapi",
    "problem",
    "problem_of_status",
    "queryables",
    "render",
    "schema",
    "sortables",
]
