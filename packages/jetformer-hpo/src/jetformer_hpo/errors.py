"""What can go wrong, in one sentence each."""


class SearchError(Exception):
    """Base class of every error of jetformer-hpo: the message names the thing and the next step."""
