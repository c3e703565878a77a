"""`medal tell`: what a person may ask of a running graph, one word for each service."""

from __future__ import annotations

from typing import Any

from std_srvs.srv import SetBool, Trigger

from medal_ros.monitor import DISCOVERY, Monitor
from medal_ros.options import OptionError
from medal_ros.srv import Label

WORDS: dict[str, tuple[str, type, dict[str, Any]]] = {
    'pause': ('pause', SetBool, {'data': True}),
    'resume': ('pause', SetBool, {'data': False}),
    'intervene': ('intervene', SetBool, {'data': True}),
    'hand-back': ('intervene', SetBool, {'data': False}),
    'reset-done': ('reset_done', Trigger, {}),
    'home': ('home', Trigger, {}),
    'save': ('save_checkpoint', Trigger, {}),
    'success': ('label', Label, {'label': 'success'}),
    'failure': ('label', Label, {'label': 'failure'}),
    'invalid': ('label', Label, {'label': 'invalid'}),
}


def tell(monitor: Monitor, word: str) -> tuple[bool, str]:
    """Ask a graph for what a word means; return whether it was accepted, and why or why not.

    Raises:
        OptionError: There is no such word.
    """
    if word not in WORDS:
        raise OptionError(f'there is no {word!r} to tell; there are {", ".join(WORDS)}')
    service, kind, values = WORDS[word]
    client = monitor.node.create_client(kind, service)
    try:
        if not monitor.wait_for(client.service_is_ready, DISCOVERY):
            return False, f'nobody offers {service} in namespace /{monitor.namespace}'
        future = client.call_async(kind.Request(**values))
        if not monitor.wait_for(future.done, DISCOVERY):
            return False, f'{service} did not answer within {DISCOVERY:.0f} s'
        return future.result().success, future.result().message
    finally:
        monitor.node.destroy_client(client)
