"""A service of a few lines, for tests of the runner: starts at once, and fails when told to."""
