"""A storm of faults against a running graph, and what must be true afterwards."""
