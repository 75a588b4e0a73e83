"""`python -m runvet_lab`."""

from runvet_lab.cli import main

if __name__ == "__main__":  # worker processes import this module, too
    main()
