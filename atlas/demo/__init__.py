"""The bundled demo models and the script that trains them."""
