"""What makes a Locust run a measurement: raw times, one samples file, a summary."""
