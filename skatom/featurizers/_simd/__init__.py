"""Vector instructions, cutoffs and loops that several families of kernels use."""
