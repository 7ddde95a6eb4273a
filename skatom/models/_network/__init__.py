"""How the neural network is built: torch modules, batches, training."""
