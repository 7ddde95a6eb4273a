"""Learning of what elements have in common, for AlchemicalKernelRidge."""
