"""A network's learning step written out as a program, and what runs it fast."""
