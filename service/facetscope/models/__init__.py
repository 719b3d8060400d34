"""User files to one differentiable graph, opened only inside a worker."""
