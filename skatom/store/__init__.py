"""Features on disk: more of them than memory holds, made once and read by batches."""

from skatom.store.feature_store import FeatureStore

__all__ = ["FeatureStore"]
