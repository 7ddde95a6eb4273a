"""Featurizers that give one row of numbers for each structure."""
