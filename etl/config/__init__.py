"""Settings: what the operator chooses, checked, and the secrets among them."""
