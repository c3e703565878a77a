"""What the buttons ask of the robot: each is one call of a service, with one request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Command:
    """One button.

    Attributes:
        name: Distinguishes it.
        words: What stands on it.
        icon: Name of a Material icon.
        service: Relative name of the service.
        hint: What it does, in a sentence.
        request: Fields of the request.
    """

    name: str
    words: str
    icon: str
    service: str
    hint: str
    request: dict[str, Any] = field(default_factory=dict)


# In the order in which they stand, by groups.
GROUPS: dict[str, tuple[Command, ...]] = {
    'Practice': (
        Command('pause', 'Pause', 'pause', 'pause', 'stop practice where it is', {'data': True}),
        Command('resume', 'Resume', 'play_arrow', 'pause', 'practice goes on', {'data': False}),
        Command('home', 'Home the arm', 'home', 'home', 'move the arm to its start pose'),
    ),
    'Person': (
        Command(
            'intervene', 'Intervene', 'pan_tool', 'intervene', 'take control yourself',
            {'data': True},
        ),
        Command(
            'hand_back', 'Hand back', 'reply', 'intervene', 'the policies go on', {'data': False}
        ),
        Command('reset_done', 'Reset done', 'restart_alt', 'reset_done', 'the world is put back'),
    ),
    'Policy': (
        Command(
            'forward', 'Forward', 'arrow_forward', 'switch_policy', 'do the task now',
            {'policy': 'forward'},
        ),
        Command(
            'backward', 'Backward', 'arrow_back', 'switch_policy', 'undo the task now',
            {'policy': 'backward'},
        ),
        Command(
            'save', 'Save', 'save', 'save_checkpoint', 'save everything of the learner now'
        ),
    ),
    'Judge': (
        Command(
            'success', 'Success', 'check_circle', 'label', 'this segment succeeded',
            {'label': 'success'},
        ),
        Command(
            'failure', 'Failure', 'cancel', 'label', 'this segment failed', {'label': 'failure'}
        ),
        Command(
            'invalid', 'Invalid', 'block', 'label', 'this segment does not count',
            {'label': 'invalid'},
        ),
    ),
}  # fmt: skip
COMMANDS = {command.name: command for group in GROUPS.values() for command in group}
