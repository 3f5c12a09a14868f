# SPDX-License-Identifier: Apache-2.0
"""Which conformance classes are declared: the sum of what the parts say they fulfil.

A part that fulfils a class has a tuple `CONFORMANCE`; nothing is declared that no part stands for.
"""

from __future__ import annotations

from geocloud import features, styles
from geocloud.features import cql2
from geocloud.ogc import dggs, processes, tilesets

__all__ = ["CONFORMANCE", "declared"]

# What the documents of this package fulfil themselves.
CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/landing-page",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/json",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/html",
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/html",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables",
    "http://www.opengis.net/spec/ogcapi-features-5/1.0/conf/schemas",
    "http://www.opengis.net/spec/ogcapi-features-5/1.0/conf/core-roles-features",
    "http://www.opengis.net/spec/ogcapi-features-5/1.0/conf/returnables-and-receivables",
    "http://www.opengis.net/spec/ogcapi-features-5/1.0/conf/queryables",
    "http://www.opengis.net/spec/ogcapi-features-5/1.0/conf/sortables",
)
_PARTS = (
    CONFORMANCE,
    features.CONFORMANCE,
    cql2.CONFORMANCE,
    tilesets.CONFORMANCE,
    styles.CONFORMANCE,
    processes.CONFORMANCE,
    dggs.CONFORMANCE,
)


def declared(*, editing: bool = False, jobs_listed: bool = False) -> tuple[str, ...]:
    """URIs of all classes the mounted parts fulfil, each once, sorted; with those of what is switched on."""
    parts = (*_PARTS, features.EDITING_CONFORMANCE) if editing else _PARTS
    if jobs_listed:
        parts = (*parts, (processes.JOB_LIST,))
    return tuple(sorted({uri for part in parts for uri in part}))
