"""What a person can put right."""


class UserError(ValueError):
    """A mistake in what was asked for or given; the text is one sentence, shown as it is."""


class WeightsError(UserError):
    """A weights file that cannot be used, and why, in one sentence."""
