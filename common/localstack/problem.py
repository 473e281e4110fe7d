"""The one kind of error the local stack raises: a line that says what is wrong and what to do."""


class LocalStackError(Exception):
    """Expected: the machine lacks something or something did not start; the text is meant for a person."""


class NotReady(Exception):
    """Expected: a probe found no answer yet; the text says what it found instead."""
