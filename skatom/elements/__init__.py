"""Chemical elements: their properties, their channels in features, what they share."""
