# SPDX-License-Identifier: Apache-2.0
"""Features out of the database: questions, filters, pages (OGC API Features parts 1 to 3); changes of them (part 4)."""

__all__ = ["CONFORMANCE", "EDITING_CONFORMANCE"]

# OGC 17-069r4 (part 1), 18-058r1 (part 2) and 19-079r2 (part 3); the filter's own classes are the compiler's.
CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/features-filter",
    "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/queryables-query-parameters",
)
# OGC 20-002 (part 4), where a layer can be edited.
EDITING_CONFORMANCE = (
    "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/create-replace-delete",
    "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/features",
    "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/optimistic-locking-etags",
    "http://www.opengis.net/spec/ogcapi-features-4/1.0/conf/update",
)
