"""The three stages, one file each."""
