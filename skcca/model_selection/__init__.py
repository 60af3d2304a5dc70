"""Cross-validation of two-view models."""

from skcca.model_selection._embed import cross_val_embed
from skcca.model_selection._partly_labelled import PartlyLabelledKFold

__all__ = ["PartlyLabelledKFold", "cross_val_embed"]
