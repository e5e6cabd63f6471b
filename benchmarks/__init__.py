"""Runs campaigns: starts each variant, loads it, and writes the record."""
