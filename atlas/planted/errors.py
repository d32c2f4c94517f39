"""What goes wrong when a circuit is planted."""

from atlas.errors import ModelError


class PlantingError(ModelError):
    """A planted circuit does not do what it should; the background is too strong for it."""
