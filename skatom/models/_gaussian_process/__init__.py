"""How the Gaussian process is built: likelihood, posterior, dense to sparse."""
