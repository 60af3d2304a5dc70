"""Two-view learning with scikit-learn's interface.

Canonical correlation analysis on linear, kernel or deep feature maps, over paired rows or classes.

Every name below is loaded when it is first used, so ``import skcca`` costs nothing: scikit-learn is
loaded by the first estimator that is named, torch by the ``fit`` of a deep one.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import (
        cluster,
        datasets,
        inspection,
        metrics,
        model_selection,
        nn,
        plotting,
        retrieval,
        views,
    )
    from .cca import CCA, ClusterCCA
    from .chunk_selector import ChunkSelector
    from .cross_validated import CCACV, KCCACV, ClusterCCACV, ClusterKCCACV
    from .dcca import DCCA, SupervisedDCCA
    from .kcca import KCCA, ClusterKCCA
    from .metrics import make_retrieval_scorer, retrieval_map
    from .model_selection import cross_val_embed
    from .retrieval import CrossModalRetriever
    from .sparse_cca import SparseCCA, SparseClusterCCA
    from .views import Views, ViewTransformer, make_view_transformer

__version__ = "0.1.0"

__all__ = [
    "CCA",
    "CCACV",
    "DCCA",
    "KCCA",
    "KCCACV",
    "ChunkSelector",
    "ClusterCCA",
    "ClusterCCACV",
    "ClusterKCCA",
    "ClusterKCCACV",
    "CrossModalRetriever",
    "SparseCCA",
    "SparseClusterCCA",
    "SupervisedDCCA",
    "ViewTransformer",
    "Views",
    "cluster",
    "cross_val_embed",
    "datasets",
    "inspection",
    "make_retrieval_scorer",
    "make_view_transformer",
    "metrics",
    "model_selection",
    "nn",
    "plotting",
    "retrieval",
    "retrieval_map",
    "views",
]

_MODULE_OF = {
    "CCA": "cca",
    "ClusterCCA": "cca",
    "CCACV": "cross_validated",
    "ClusterCCACV": "cross_validated",
    "KCCACV": "cross_validated",
    "ClusterKCCACV": "cross_validated",
    "KCCA": "kcca",
    "ClusterKCCA": "kcca",
    "DCCA": "dcca",
    "SupervisedDCCA": "dcca",
    "SparseCCA": "sparse_cca",
    "SparseClusterCCA": "sparse_cca",
    "ChunkSelector": "chunk_selector",
    "CrossModalRetriever": "retrieval",
    "Views": "views",
    "ViewTransformer": "views",
    "make_view_transformer": "views",
    "cross_val_embed": "model_selection",
    "make_retrieval_scorer": "metrics",
    "retrieval_map": "metrics",
}


if not TYPE_CHECKING:  # type checkers read the imports above; this would let any name pass

    def __getattr__(name: str) -> Any:
        """Load a public name when it is first used (PEP 562)."""
        if name in _MODULE_OF:
            value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
            globals()[name] = value  # found without this function from now on
            return value
        if name in __all__:
            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names before they are loaded, for completion and documentation tools."""
    return sorted(globals().keys() | set(__all__))
