"""The services' parts, each by itself."""
