"""Which networks exist, and where their weights come from."""
