# SPDX-License-Identifier: Apache-2.0
"""The database: a private PostGIS cluster or a given one, its migrations and its connections."""
