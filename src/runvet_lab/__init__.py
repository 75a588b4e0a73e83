"""Reference training systems, real and small, each in healthy and sick configurations that prove runvet's rules."""
