# SPDX-License-Identifier: Apache-2.0
"""Readings of devices (传感器读数): what devices measure, how readings come in, and what is read of them.

A device is a feature of a layer; a datastream is one property that it measures, in one unit. Times are instants; where
a day is meant, it begins at midnight in Beijing (UTC+8).
"""
