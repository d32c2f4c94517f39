"""The bundled facts: countries and cities in six languages."""
