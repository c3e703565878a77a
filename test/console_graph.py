"""A small graph for tests of the console: real consoles, and an arm that obeys a supervisor."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from medal_ros.msg import Label, Observation, State, Step
from ros import Nodes, Probe, wait_until
from std_srvs.srv import Trigger

from medal_ros.nodes.images import image_from_array
from medal_ros.nodes.qos import HISTORY, STREAM

PERIOD = 0.05  # seconds between two control steps
SOURCES = {'practice': 'policy', 'arm_reset': 'script'}
STARTING = 40.0  # seconds that a console may take on a busy machine


class Arm:
    """Takes every step that the supervisor decides, on a clock, and saves when it is told to."""

    def __init__(self, probe: Probe) -> None:
        self.probe, self.sequence, self.saved = probe, 0, 0
        self.states = probe.record(State, 'state', STREAM)
        self.labels = probe.record(Label, 'label', HISTORY)
        self.steps = probe.node.create_publisher(Step, 'step', HISTORY)
        self.observations = probe.node.create_publisher(Observation, 'observation', HISTORY)
        self.health = probe.node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        probe.node.create_service(Trigger, 'save_checkpoint', self.on_save)
        probe.node.create_timer(PERIOD, self.tick)
        probe.node.create_timer(1.0, self.speak)
        probe.executor.wake()

    @property
    def mode(self) -> str:
        return self.states[-1].mode if self.states else ''

    def on_save(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.saved += 1
        response.success, response.message = True, 'saving to somewhere'
        return response

    def tick(self) -> None:
        if self.states and self.states[-1].sequence == self.sequence:
            state = self.states[-1]
            step = Step(sequence=self.sequence, segment=state.segment, agent=state.agent)
            step.source = SOURCES.get(state.mode, 'hold')
            step.task_rewards = [1.0, 0.0]
            self.steps.publish(step)
            self.sequence += 1
        image = np.full((48, 48, 3), 40, np.uint8)
        image[self.sequence % 48] = 255
        images = [image_from_array(image), image_from_array(image)]
        message = Observation(sequence=self.sequence, names=['wrist', 'third'], images=images)
        message.proprio = [0.0]
        self.observations.publish(message)

    def speak(self) -> None:
        status = DiagnosticStatus(name='medal/sim_arm: status', hardware_id='medal/sim_arm')
        self.health.publish(DiagnosticArray(status=[status]))


class Consoles(Nodes):
    """Starts consoles and tells where they are."""

    def console(self, **parameters) -> str:
        """Start a console at a free port and return its address once it listens.

        Raises:
            AssertionError: It did not come up in time.
        """
        self.start('console', **{'port': 0, **parameters})
        said = lambda: self.output('console')  # noqa: E731
        wait_until(lambda: 'the console is at ' in said(), STARTING, f'a console; {said()}')
        return said().split('the console is at ')[1].split()[0]


def past_run(root: Path) -> None:
    """Make a folder of runs with one that has a curve."""
    folder = root / 'first'
    folder.mkdir(parents=True)
    (folder / 'config.yaml').write_text('task: toy\n')
    (folder / 'summary.json').write_text('{"success": 0.97, "steps": 5000, "interventions": 19}')
    cv2.imwrite(str(folder / 'learning_curve.png'), np.zeros((70, 120, 3), np.uint8))
