"""Side-by-side measurements with other packages."""
