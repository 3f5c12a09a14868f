# SPDX-License-Identifier: Apache-2.0
"""Spatial overlay (空间叠加): features added up by areas, and values carried from one set of areas to another."""
