"""What the templates are given: frozen values, ready to be shown. A test compares them with the templates."""
