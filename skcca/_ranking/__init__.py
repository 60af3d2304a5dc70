"""Ranked lists: what is similar, what is relevant, and what an order is worth."""
