"""The commands of `jetformer-data`, by what they do."""
