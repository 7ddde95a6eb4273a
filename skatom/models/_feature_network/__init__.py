"""Networks on features of atoms: modules, training sets, predictions."""
