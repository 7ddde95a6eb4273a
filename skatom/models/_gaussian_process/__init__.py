"""How the Gaussian process is built: likelihood, posterior, iterative solution."""
