"""geocloud: the spatio-temporal information cloud of a city (时空信息云平台)."""

__version__ = "0.1.0"
