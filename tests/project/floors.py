"""The floors of the house: who may import whom. Read by the tests of the code and of `docs/architecture.md`."""

FLOORS = (
    ("errors", "ids", "schema", "templates"),
    ("matching",),
    ("facts", "scorers", "statistics", "drawing", "outputs"),
    ("models", "store"),
    ("engine", "migrations", "atlas"),
    ("attribution", "planted", "reports"),
    ("running",),
    ("building", "knockouts", "evaluation", "editing", "checking", "demo"),
    ("exam", "doctor", "study", "jobs"),
    ("cli",),
    ("__main__",),
)
"""The rooms of each floor, lowest first: packages and single files of `atlas`, which itself is `atlas/__init__.py`.

A file imports from its own room and from lower floors, never from a room beside it.
"""

FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

MODEL_SIDE = ("models", "engine", "attribution", "planted")
"""Rooms that never reach the database."""

DATABASE_SIDE = ("atlas", "store", "migrations", "reports")
"""Rooms that never reach a model."""
