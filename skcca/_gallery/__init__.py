"""The gallery behind `CrossModalRetriever`: items, their search, and the file they are kept in."""
