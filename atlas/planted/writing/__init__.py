"""Writing circuits into weights: what each token, head and neuron of a planted model holds."""
