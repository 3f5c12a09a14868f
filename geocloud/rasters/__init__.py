# SPDX-License-Identifier: Apache-2.0
"""Rasters of the city, such as elevation models: which there are, windows of them, and writing small ones."""
