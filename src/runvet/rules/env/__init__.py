"""ENV: the code, packages and machines that a run was made with."""
