"""Numbers on their way to a report: what JSON cannot say, and what other libraries call a number."""

from __future__ import annotations

import math
from typing import Any


def plain(value: Any) -> Any:
    """A scalar of numpy, torch or jax as the number that it is; anything else as it is."""
    if isinstance(value, (bool, int, float, str, dict, list, tuple)) or value is None:
        return value
    item = getattr(value, "item", None)
    if callable(item):
        try:
            return item()
        except (TypeError, ValueError, RuntimeError):
            return value
    return value


def without_non_finite(value: Any) -> Any:
    """The same with None where there is a NaN or an infinity, also inside of lists and objects."""
    value = plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: without_non_finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_non_finite(inner) for inner in value]
    return value


def exact(value: Any) -> Any:
    """The same with the words that a records file has for NaN and the infinities."""
    value = plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def number(tag: str, value: Any) -> Any:
    """A value that a metric may have. `ValueError` otherwise, where it was logged and can be mended."""
    value = plain(value)
    if isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, (int, float)):
        return value
    kind = type(value).__name__
    raise ValueError(f"the metric {tag!r} must be a number, not {kind}: log each part under a tag of its own")


def step(value: Any) -> int:
    """A step as the whole number that it must be."""
    value = plain(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"a global step must be a whole number, not {value!r}")
    return value
