"""Qualities of service, by what a topic is for.

Everything of ours is reliable. Depths come from the longest stall that a reader must survive.
"""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _reliable(depth: int, durability: DurabilityPolicy) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=durability,
    )


# What flows at the control rate: 20 s of it at 10 Hz.
STREAM = _reliable(200, DurabilityPolicy.VOLATILE)

# Kept for readers that join late: 40 s of it, in which one that hangs is noticed, started again and
# has caught up. Writers use it; readers of STREAM match it too.
HISTORY = _reliable(400, DurabilityPolicy.TRANSIENT_LOCAL)

# One present value, such as what a node is doing.
LATCHED = _reliable(1, DurabilityPolicy.TRANSIENT_LOCAL)

# Full-size camera images: an old one is worth little.
RAW = _reliable(10, DurabilityPolicy.VOLATILE)

# What a person at the controls asks for now: only the newest counts.
TELEOP = _reliable(1, DurabilityPolicy.VOLATILE)

# What a robot's own software reports, faster than anybody reads. A reliable reader of such a
# topic would be sent nothing.
NEWEST = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT
)
