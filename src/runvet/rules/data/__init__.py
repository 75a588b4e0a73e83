"""DATA: what the run was fed."""
