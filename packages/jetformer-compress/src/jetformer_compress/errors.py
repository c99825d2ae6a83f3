"""What can go wrong, in one sentence each."""


class CompressError(Exception):
    """Something given to jetformer-compress is not what it expects; the message says what to do."""
