"""The made data set."""

from made_facts import facts, make_facts

__all__ = ["facts", "make_facts"]
