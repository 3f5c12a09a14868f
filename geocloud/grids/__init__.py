# SPDX-License-Identifier: Apache-2.0
"""Grids over the city: codes of cells, and cells of codes."""
