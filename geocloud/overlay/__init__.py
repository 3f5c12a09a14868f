# SPDX-License-Identifier: Apache-2.0
"""Layers laid over each other (叠加分析), measured on the ellipsoid."""
