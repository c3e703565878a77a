"""At which observation the parts of a run stopped: from there they go on, if all mean the same."""

from __future__ import annotations

from dataclasses import dataclass

from medal_ros.learning.recovery import last_record
from medal_ros.learning.states import State, States
from medal_ros.run_folder import RunFolder


@dataclass(frozen=True)
class Moment:
    """What the replay store knows of the end of a run.

    Attributes:
        sequence: The first observation whose step is not stored or refused.
        steps: Policy steps until then.
        segment: The last segment that is known of.
        interventions: Times a person was needed.
    """

    sequence: int = 0
    steps: int = 0
    segment: int = 0
    interventions: int = 0


def moment_of(folder: RunFolder) -> Moment | None:
    """Return where a run's replay store ends; None where nothing is stored."""
    record = last_record(folder.replay)
    if record is None:
        return None
    joiner, state = record.about['joiner'], record.about['state']
    steps = record.end.forward + record.end.backward + joiner['refused']
    return Moment(joiner['next'], steps, state['segment'], state['interventions'])


def state_of(folder: RunFolder, node: str, sequence: int) -> State | None:
    """Return the state that a node saved at an observation; None if it saved none there."""
    state = States(folder.state(node)).load()
    return state if state is not None and state.values.get('sequence') == sequence else None
