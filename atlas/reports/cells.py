"""Values as a reader wants to see them."""

from datetime import datetime


def shown(value: object) -> str:
    """Return a value as text: grouped thousands, three significant digits, an en dash for NULL."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M UTC")
    return str(value)


def _number(value: float) -> str:
    if value and (abs(value) < 0.001 or abs(value) >= 1e6):
        return f"{value:.2e}"
    return f"{value:#.3g}" if abs(value) < 100 else f"{value:,.0f}"
