"""From targets ten times a second to a stream of targets that a controller can follow."""

from __future__ import annotations

import numpy as np

from medal_ros.robot.pose import Pose, shortest_turn


class TargetStream:
    """A target that moves straight and evenly to where it is aimed, and stays there.

    The position moves on a line, the yaw the shortest way. A new aim starts from where the
    stream is at that moment, so the stream never jumps; it arrives after `period`, or later
    where that would be faster than allowed. Times are seconds of any clock that never goes back.

    Args:
        start: Where the stream is at first, at rest.
        period: Seconds from an aim to its arrival: that of the control step.
        speed: Largest speed, metres per second.
        turn_rate: Largest turn rate, radians per second.
    """

    def __init__(
        self, start: Pose, period: float = 0.1, speed: float = 0.3, turn_rate: float = 3.0
    ) -> None:
        self.period, self.speed, self.turn_rate = period, speed, turn_rate
        self.restart(start)

    def restart(self, pose: Pose) -> None:
        """Be at rest at a pose: where the arm is, after somebody else moved it.

        Raises:
            ValueError: The pose is not finite.
        """
        self._start = self._end = _checked(pose)
        self._turn, self._begun, self._duration = 0.0, 0.0, 0.0

    def aim(self, now: float, target: Pose) -> None:
        """Move to a target from where the stream is now.

        Raises:
            ValueError: The target is not finite; the stream goes on to the one before.
        """
        target, start = _checked(target), self.at(now)
        turn = shortest_turn(start.yaw, target.yaw)
        distance = float(np.linalg.norm(target.position - start.position))
        self._duration = max(self.period, distance / self.speed, abs(turn) / self.turn_rate)
        self._start, self._end, self._turn, self._begun = start, target, turn, now

    def stop(self, now: float) -> None:
        """Stay where the stream is now: on a release, or when a command has gone stale."""
        self.restart(self.at(now))

    def at(self, now: float) -> Pose:
        """Return the target for this moment; exactly the one aimed at from its arrival on."""
        share = 1.0 if self._duration == 0.0 else (now - self._begun) / self._duration
        if share >= 1.0:
            return self._end
        share = max(share, 0.0)
        way = self._end.position - self._start.position
        return Pose(self._start.position + share * way, self._start.yaw + share * self._turn)


def _checked(pose: Pose) -> Pose:
    if not pose.finite:
        raise ValueError(f'a target is four finite numbers, not {pose}')
    return Pose(np.array(pose.position, float), float(pose.yaw))
