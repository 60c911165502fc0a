"""Versions side by side: metrics, formats, comparison, which one is best."""
