"""``python -m facetscope_client``: the same as ``facetscope``."""

from facetscope_client.cli import main

main()
