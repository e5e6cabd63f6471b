"""Profiles of a service, what they cost a request, and what of a difference is noise."""
