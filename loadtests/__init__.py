"""The load generators, and the file of samples that they write."""
