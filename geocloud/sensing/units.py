# SPDX-License-Identifier: Apache-2.0
"""Units of measure by their UCUM symbols, and conversion between those of the same dimension.

Only what devices of a city send; the case-sensitive symbols of UCUM, and some spellings common in deliveries. A factor
from volume to mass needs a temperature and a pressure, so ppb is not converted to ug/m3.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

__all__ = ["converter", "is_known", "symbol"]

# symbol: dimension, factor and offset to its base: base = value * factor + offset.
_UNITS: dict[str, tuple[str, float, float]] = {
    "1": ("ratio", 1, 0), "%": ("ratio", 0.01, 0), "[ppth]": ("ratio", 1e-3, 0), "[ppm]": ("ratio", 1e-6, 0),
    "[ppb]": ("ratio", 1e-9, 0),
    "m": ("length", 1, 0), "km": ("length", 1e3, 0), "dm": ("length", 0.1, 0), "cm": ("length", 0.01, 0),
    "mm": ("length", 1e-3, 0), "um": ("length", 1e-6, 0),
    "m2": ("area", 1, 0), "km2": ("area", 1e6, 0), "har": ("area", 1e4, 0),
    "m3": ("volume", 1, 0), "L": ("volume", 1e-3, 0), "mL": ("volume", 1e-6, 0),
    "s": ("time", 1, 0), "ms": ("time", 1e-3, 0), "min": ("time", 60, 0), "h": ("time", 3600, 0),
    "d": ("time", 86400, 0),
    "m/s": ("speed", 1, 0), "km/h": ("speed", 1 / 3.6, 0), "mm/h": ("speed", 1e-3 / 3600, 0),
    "m3/s": ("flow", 1, 0), "L/s": ("flow", 1e-3, 0), "m3/h": ("flow", 1 / 3600, 0), "m3/d": ("flow", 1 / 86400, 0),
    "kg/m3": ("density", 1, 0), "g/m3": ("density", 1e-3, 0), "mg/m3": ("density", 1e-6, 0),
    "ug/m3": ("density", 1e-9, 0), "ng/m3": ("density", 1e-12, 0), "g/L": ("density", 1, 0),
    "mg/L": ("density", 1e-3, 0), "ug/L": ("density", 1e-6, 0),
    "K": ("temperature", 1, 0), "Cel": ("temperature", 1, 273.15),
    "[degF]": ("temperature", 5 / 9, 273.15 - 32 * 5 / 9),
    "Pa": ("pressure", 1, 0), "hPa": ("pressure", 100, 0), "kPa": ("pressure", 1e3, 0), "MPa": ("pressure", 1e6, 0),
    "bar": ("pressure", 1e5, 0), "mbar": ("pressure", 100, 0),
    "W": ("power", 1, 0), "kW": ("power", 1e3, 0), "MW": ("power", 1e6, 0),
    "J": ("energy", 1, 0), "kJ": ("energy", 1e3, 0), "kW.h": ("energy", 3.6e6, 0), "W.h": ("energy", 3600, 0),
    "V": ("voltage", 1, 0), "mV": ("voltage", 1e-3, 0), "kV": ("voltage", 1e3, 0),
    "A": ("current", 1, 0), "mA": ("current", 1e-3, 0),
    "deg": ("angle", 1, 0), "rad": ("angle", 180 / 3.141592653589793, 0),
    "g": ("mass", 1e-3, 0), "kg": ("mass", 1, 0), "t": ("mass", 1e3, 0),
    "W/m2": ("irradiance", 1, 0), "lx": ("illuminance", 1, 0), "dB": ("level", 1, 0), "dB[SPL]": ("level", 1, 0),
    "S/m": ("conductivity", 1, 0), "uS/cm": ("conductivity", 1e-4, 0), "mS/cm": ("conductivity", 0.1, 0),
    "[pH]": ("acidity", 1, 0), "[NTU]": ("turbidity", 1, 0), "Hz": ("frequency", 1, 0),
}  # fmt: skip
_SPELLINGS = {
    "": "1", "℃": "Cel", "°C": "Cel", "degC": "Cel", "°F": "[degF]", "℉": "[degF]", "ppm": "[ppm]", "ppb": "[ppb]",
    "l": "L", "l/s": "L/s", "mg/l": "mg/L", "ug/l": "ug/L", "ha": "har", "°": "deg", "dB(A)": "dB[SPL]", "kWh": "kW.h",
    "pH": "[pH]", "NTU": "[NTU]", "m^3/s": "m3/s", "米": "m", "毫米": "mm", "立方米/秒": "m3/s", "个": "1",
    "hPA": "hPa", "mps": "m/s", "%RH": "%",
}  # fmt: skip
_LETTERS = str.maketrans({"μ": "u", "µ": "u", "²": "2", "³": "3", "·": ".", "％": "%"})


@lru_cache(maxsize=4_096)
def symbol(text: str) -> str:
    """The UCUM symbol of a unit as it is commonly written; the text as it is where none is known.

    An annotation alone, such as `{count}`, is the unit one (UCUM, 6.3).
    """
    text = text.strip()
    if text in _UNITS:
        return text
    if text.startswith("{") and text.endswith("}") and "{" not in text[1:-1]:
        return "1"
    plain = text.translate(_LETTERS)
    return _SPELLINGS.get(text, _SPELLINGS.get(plain, plain))


def is_known(text: str) -> bool:
    """Whether values in the unit can be converted to others of its dimension."""
    return symbol(text) in _UNITS


@lru_cache(maxsize=4_096)
def converter(given: str, wanted: str) -> tuple[float, float] | None:
    """Factor and offset from one unit to another: wanted = given * factor + offset; None where there is no way.

    (1, 0) exactly for the same unit, also one that is not known.
    """
    a, b = symbol(given), symbol(wanted)
    if a == b:
        return 1.0, 0.0
    if a not in _UNITS or b not in _UNITS or _UNITS[a][0] != _UNITS[b][0]:
        return None
    # Exactly, so that 1 mg/m3 is 1000 ug/m3 and not a little more.
    factor_a, offset_a = (Fraction(str(n)) for n in _UNITS[a][1:])
    factor_b, offset_b = (Fraction(str(n)) for n in _UNITS[b][1:])
    return float(factor_a / factor_b), float((offset_a - offset_b) / factor_b)
