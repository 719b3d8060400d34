"""Numbers of a request that must lie in a range."""

from facetscope.domain.errors import InvalidFieldError


def check_range(field: str, value: float, low: float, high: float) -> None:
    """Refuse a ``value`` that is not in [low, high], or not a number.

    Raises:
        InvalidFieldError: It is not.
    """
    if not low <= value <= high:
        raise InvalidFieldError(field, f"{value:g} is not in [{low:g}, {high:g}]")
