"""The commands of `jetformer-model`, a module each."""
