"""Measures what the product promises, each figure beside a raw limit taken in the same run."""
