"""The searchable gallery: items of one view, ranked for queries of the other."""

from skcca.retrieval._retriever import CrossModalRetriever, QueryResult

__all__ = ["CrossModalRetriever", "QueryResult"]
