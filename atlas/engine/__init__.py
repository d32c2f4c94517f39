"""Running a model's blocks again from changed neurons, and asking it for answers."""
