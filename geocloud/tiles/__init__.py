# SPDX-License-Identifier: Apache-2.0
"""Vector tiles (矢量瓦片): grids, tiles out of the database, archives of them, and what a change touches."""
