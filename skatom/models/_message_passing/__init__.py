"""Networks that pass messages between neighbouring atoms, as torch modules."""
