"""Qualities of service, by what a topic is for.

Everything is reliable. Depths come from the longest stall that a reader must survive.
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

# The same, kept for readers that join late. Writers use it; readers of STREAM match it too.
HISTORY = _reliable(200, DurabilityPolicy.TRANSIENT_LOCAL)

# One present value, such as what a node is doing.
LATCHED = _reliable(1, DurabilityPolicy.TRANSIENT_LOCAL)

# Full-size camera images: an old one is worth little.
RAW = _reliable(10, DurabilityPolicy.VOLATILE)
