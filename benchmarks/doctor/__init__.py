"""What is wrong with a machine or with a running service, found by looking and by a short load."""
