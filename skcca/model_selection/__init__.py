"""Cross-validation of two-view models."""

from skcca.model_selection._embed import cross_val_embed

__all__ = ["cross_val_embed"]
