"""Neuron Atlas: a database of the neurons in which language models keep facts."""

__version__ = "0.1.0"
