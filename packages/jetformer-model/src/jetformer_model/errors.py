"""What can go wrong, in one sentence each."""


class ModelError(Exception):
    """Something given to jetformer-model is not what it expects; the message says what to do."""


class StateError(ModelError):
    """A state file is missing, broken or of a kind that cannot be used here."""
