"""What medal_ros relies on in message_filters, whether it is the real one or the stand-in."""

import pytest
from builtin_interfaces.msg import Time as TimeMessage
from sensor_msgs.msg import Image
from std_msgs.msg import Header, String

import medal_ros.compat
from medal_ros.compat import message_filters


class Inputs:
    """A synchroniser, what it put out, and a way to give it messages by time in milliseconds."""

    def __init__(self, kind: str, count: int = 2, **arguments):
        self.filters = [message_filters.SimpleFilter() for _ in range(count)]
        self.synchronizer = getattr(message_filters, kind)(self.filters, **arguments)
        self.matches: list[tuple[int, ...]] = []
        self.synchronizer.registerCallback(self._matched)

    def give(self, index: int, *milliseconds: int) -> None:
        for t in milliseconds:
            stamp = TimeMessage(sec=t // 1000, nanosec=t % 1000 * 1_000_000)
            self.filters[index].signalMessage(Image(header=Header(stamp=stamp)))

    def _matched(self, *messages: Image) -> None:
        stamps = (message.header.stamp for message in messages)
        self.matches.append(tuple(s.sec * 1000 + s.nanosec // 1_000_000 for s in stamps))


def test_callback_gets_its_own_arguments_after_the_messages():
    seen = []
    source = message_filters.SimpleFilter()
    source.registerCallback(lambda *arguments: seen.append(arguments), 'mine')
    source.signalMessage('a message')
    assert seen == [('a message', 'mine')]


def test_exact_synchronizer_matches_equal_times_only():
    inputs = Inputs('TimeSynchronizer', queue_size=5)
    inputs.give(0, 1000, 1100, 1200)
    inputs.give(1, 1101, 1200, 1000)
    assert inputs.matches == [(1200, 1200), (1000, 1000)]


def test_exact_synchronizer_waits_for_every_input():
    inputs = Inputs('TimeSynchronizer', count=3, queue_size=5)
    inputs.give(0, 1000)
    inputs.give(2, 1000)
    assert inputs.matches == []
    inputs.give(1, 1000)
    assert inputs.matches == [(1000, 1000, 1000)]


def test_a_match_is_put_out_once():
    inputs = Inputs('TimeSynchronizer', queue_size=5)
    inputs.give(0, 1000)
    inputs.give(1, 1000, 1000)
    assert inputs.matches == [(1000, 1000)]


@pytest.mark.parametrize(
    ('kind', 'more'), [('TimeSynchronizer', {}), ('ApproximateTimeSynchronizer', {'slop': 0.01})]
)
def test_a_full_queue_forgets_the_oldest(kind, more):
    inputs = Inputs(kind, queue_size=2, **more)
    inputs.give(0, 1000, 2000, 3000)
    inputs.give(1, 1000, 3000, 2000)
    assert inputs.matches == [(3000, 3000), (2000, 2000)]


@pytest.mark.parametrize(
    ('kind', 'more'), [('TimeSynchronizer', {}), ('ApproximateTimeSynchronizer', {'slop': 0.01})]
)
def test_a_message_older_than_a_full_queue_is_dropped(kind, more):
    inputs = Inputs(kind, queue_size=2, **more)
    inputs.give(0, 1000)
    inputs.give(1, 2000, 3000, 1000)
    assert inputs.matches == []


def test_slop_bounds_the_spread_of_a_match():
    inputs = Inputs('ApproximateTimeSynchronizer', queue_size=5, slop=0.02)
    inputs.give(0, 1000)
    inputs.give(1, 1021)
    assert inputs.matches == []
    inputs.give(1, 1019)
    assert inputs.matches == [(1000, 1019)]


def test_a_spread_of_exactly_the_slop_is_no_match():
    inputs = Inputs('ApproximateTimeSynchronizer', queue_size=5, slop=0.02)
    inputs.give(0, 1000)
    inputs.give(1, 1020)
    assert inputs.matches == []


def test_slop_bounds_the_spread_of_all_three_inputs():
    inputs = Inputs('ApproximateTimeSynchronizer', count=3, queue_size=5, slop=0.02)
    inputs.give(0, 985)
    inputs.give(1, 1015)
    inputs.give(2, 1000)  # within slop of each, but those are 30 ms apart
    assert inputs.matches == []
    inputs.give(0, 1003)
    assert inputs.matches == [(1003, 1015, 1000)]


def test_the_nearest_message_is_matched():
    inputs = Inputs('ApproximateTimeSynchronizer', queue_size=5, slop=0.05)
    inputs.give(0, 960, 990, 1030)
    inputs.give(1, 1000)
    assert inputs.matches == [(990, 1000)]


def test_messages_out_of_order_are_matched():
    inputs = Inputs('ApproximateTimeSynchronizer', queue_size=5, slop=0.02)
    inputs.give(0, 1100, 1000)
    inputs.give(1, 1001, 1101)
    assert inputs.matches == [(1000, 1001), (1100, 1101)]


@pytest.mark.parametrize(('allowed', 'matches'), [(False, 0), (True, 1)])
def test_a_message_without_header_is_matched_by_arrival_if_allowed(allowed, matches):
    inputs = Inputs(
        'ApproximateTimeSynchronizer', count=2, queue_size=5, slop=5.0, allow_headerless=allowed
    )
    seen = []
    inputs.synchronizer.callbacks.clear()
    inputs.synchronizer.registerCallback(lambda *messages: seen.append(messages))
    for source in inputs.filters:
        source.signalMessage(String())
    assert len(seen) == matches


class FakeNode:
    """A node that remembers how it was asked to subscribe."""

    def create_subscription(self, msg_type, topic, callback, **kwargs):
        self.subscribed = msg_type, topic, kwargs
        self.deliver = callback


def test_subscriber_subscribes_and_passes_messages_on():
    node, seen = FakeNode(), []
    subscriber = message_filters.Subscriber(node, Image, 'image_raw', qos_profile=3)
    subscriber.registerCallback(seen.append)
    node.deliver('a message')
    assert node.subscribed == (Image, 'image_raw', {'qos_profile': 3})
    assert seen == ['a message']


def test_other_packages_are_not_offered():
    with pytest.raises(AttributeError, match='tf2_ros, not'):
        _ = medal_ros.compat.tf3_ros
