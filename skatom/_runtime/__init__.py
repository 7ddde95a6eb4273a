"""Threads, memory, compilation and files: what computing needs, whatever is computed."""
