"""Is everything in order? An atlas examined, and whether the engine computes what a model computes."""
