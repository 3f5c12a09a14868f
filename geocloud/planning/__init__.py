# SPDX-License-Identifier: Apache-2.0
"""Plans of the city: their classes, their differences, and what a site meets in them."""
