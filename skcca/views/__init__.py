"""Two views of the same rows: their container, and transformers that work view by view."""

from skcca.views._container import Views
from skcca.views._transformer import ViewTransformer, make_view_transformer

__all__ = ["ViewTransformer", "Views", "make_view_transformer"]
