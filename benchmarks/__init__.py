# SPDX-License-Identifier: Apache-2.0
"""`python -m benchmarks`: geocloud, its peers and the bare floor on the same data, with answers compared first."""
