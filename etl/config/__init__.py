"""Configuration: the operator's settings, checked, and the secrets among them."""
