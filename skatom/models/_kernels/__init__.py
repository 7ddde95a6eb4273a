"""Kernel functions of atoms and structures, and their derivatives."""
