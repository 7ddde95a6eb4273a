"""Every wrapper over every model: what is right, and what has no definition."""
