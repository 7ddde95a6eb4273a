"""Training sets of closed-form models: labels and the rows that belong to them."""
