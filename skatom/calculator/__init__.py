"""An ASE calculator for any fitted estimator on structures."""

from skatom.calculator._calculator import SkatomCalculator

__all__ = ["SkatomCalculator"]
