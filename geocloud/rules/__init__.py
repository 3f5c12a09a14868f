# SPDX-License-Identifier: Apache-2.0
"""The numbered rules a row is held to, whichever way it comes in: a delivered file or an edit."""
