"""Circuits of small networks: which there are, which a network is in, which training finds."""

from __future__ import annotations

from minnet.study.canonical import canonical
from minnet.study.catalogue import Circuit, catalogue, circuit_of, refutation
from minnet.study.census import Census, census
from minnet.study.inequalities import Inequality
from minnet.study.models import Verdict, models_xor
from minnet.study.units import Units, circuit_names, units_of

__all__ = [
    "Census",
    "Circuit",
    "Inequality",
    "Units",
    "Verdict",
    "canonical",
    "catalogue",
    "census",
    "circuit_names",
    "circuit_of",
    "models_xor",
    "refutation",
    "units_of",
]
