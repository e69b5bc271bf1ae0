"""Packed files and archives of files: whether they end where they should, whatever is in them."""
