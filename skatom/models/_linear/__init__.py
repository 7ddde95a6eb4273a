"""The linear model: rows, the problem they make, its solution."""
