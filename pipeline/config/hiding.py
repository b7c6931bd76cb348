"""What training hides, so that requests may leave it out."""

from pydantic import Field

from pipeline.config.base import Section


class HidingConfig(Section):
    """The shares of what training hides of its windows, so that the model learns what to make of a request without it.

    A part is hidden as a request leaves it out: its values are unknown or missing. In half of the windows each part is
    drawn for itself, in the others all are drawn together, so that the model also meets what a request of a user and
    items alone says: the least of the shares, and a half of that.
    """

    times: float = Field(default=0.1, ge=0, lt=1)
    """The windows without the times of the history's events, and without the context features that are read from
    them."""
    request_time: float = Field(default=0.1, ge=0, lt=1)
    """The positions without the time since the event before them, and without their own context features that are read
    from the time. What is popular stays that of the event's own day."""
    outcomes: float = Field(default=0.1, ge=0, lt=1)
    """The windows without the outcome features of the history's events."""
    context: float = Field(default=0.1, ge=0, lt=1)
    """The windows without the context features of the history's events; and the positions without their own."""
    user: float = Field(default=0.1, ge=0, lt=1)
    """The positions without the user's features."""
    user_id: float = Field(default=0.05, ge=0, lt=1)
    """The positions without the user's id: what they teach is what a user whom training has not seen is told."""
