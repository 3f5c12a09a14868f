# SPDX-License-Identifier: Apache-2.0
"""The web application: routes, negotiation, cache and errors around what the other rooms answer."""

from geocloud.web.app import create_app
from geocloud.web.server import serve

__all__ = ["create_app", "serve"]
