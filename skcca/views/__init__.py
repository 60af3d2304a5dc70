"""Two views of the same rows: their container, and transformers that work view by view.

`ViewTransformer` is loaded when it is first named, because the container needs no scikit-learn.
"""

from typing import TYPE_CHECKING, Any

from skcca.views._container import Views

if TYPE_CHECKING:
    from skcca.views._transformer import ViewTransformer, make_view_transformer

__all__ = ["ViewTransformer", "Views", "make_view_transformer"]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Load the transformers when they are first named (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from skcca.views import _transformer

        return getattr(_transformer, name)
