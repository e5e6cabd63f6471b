"""The app: what the analysis says of records, as pages in a browser."""
