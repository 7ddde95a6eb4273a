"""Training of torch modules on batches."""
