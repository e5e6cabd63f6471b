"""The object under test: object detection over HTTP, whose every optimization is a setting."""
