"""The paper's experiments with all controls on one atlas, and what they say of its claims."""
