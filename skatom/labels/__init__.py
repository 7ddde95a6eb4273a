"""Checks of the energies and forces that models are trained on."""
