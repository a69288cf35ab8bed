"""`python -m rlm_module.cli` is `rlm`."""

from rlm_module.cli.main import main

main()
