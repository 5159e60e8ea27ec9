"""The workbench beside minnet: train a network, rewind it, picture it."""

from bench.nnbench import NNBench, identity

__all__ = ["NNBench", "identity"]
