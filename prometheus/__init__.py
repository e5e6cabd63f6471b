"""What Prometheus scrapes, computes and watches; build.py writes the part that is generated."""
