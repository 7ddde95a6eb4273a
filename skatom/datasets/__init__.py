"""Reference data, each set with its source and licence: shipped ones and your own."""

from skatom.datasets._dataset import (
    Dataset,
    dataset_record,
    list_datasets,
    load_dataset,
)
from skatom.datasets._record import DatasetFile, DatasetRecord

__all__ = [
    "Dataset",
    "DatasetFile",
    "DatasetRecord",
    "dataset_record",
    "list_datasets",
    "load_dataset",
]
