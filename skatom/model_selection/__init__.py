"""Splitters that know what a structure is."""

from skatom.model_selection.block_k_fold import BlockKFold

__all__ = ["BlockKFold"]
