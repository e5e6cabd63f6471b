"""Figures: pure functions from what was analysed to charts, the same for the report and the app."""
