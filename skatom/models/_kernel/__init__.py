"""How the kernel model is built: kernels, references, exact and sparse solutions."""
