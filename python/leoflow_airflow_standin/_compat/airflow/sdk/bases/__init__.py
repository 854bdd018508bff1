"""Classes to derive from."""
