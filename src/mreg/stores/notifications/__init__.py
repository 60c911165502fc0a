"""Sinks are told of transitions."""
