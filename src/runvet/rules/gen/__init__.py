"""GEN: generated samples, codebooks, policies, and the curves that tell of them."""
