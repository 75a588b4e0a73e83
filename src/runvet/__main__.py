"""`python -m runvet`."""

from runvet.cli.main import main

main()
