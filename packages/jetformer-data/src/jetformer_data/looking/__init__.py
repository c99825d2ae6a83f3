"""What `inspect`, `plot` and `validate` are made of."""
