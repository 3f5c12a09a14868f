# SPDX-License-Identifier: Apache-2.0
"""Processes (处理): what one is, and what it is given while it runs."""
