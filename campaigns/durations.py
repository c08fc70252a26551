"""Lengths of time, in words."""


def told(seconds: float) -> str:
    """A length of time, for a person."""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    if seconds < 7200:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
