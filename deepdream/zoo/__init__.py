"""The networks and the sources of their weights."""
