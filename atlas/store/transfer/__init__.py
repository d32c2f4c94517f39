"""Rows between atlases and folders: merging files, exporting tables, importing them again."""
