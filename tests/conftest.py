"""What every test goes by."""

from hypothesis import settings

# Machines differ too much in speed for a deadline to tell anything, and a run must be repeatable.
settings.register_profile("facetscope", deadline=None, derandomize=True)
settings.load_profile("facetscope")
