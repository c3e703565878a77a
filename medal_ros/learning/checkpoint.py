"""The whole state of an agent's training as named tensors, to save and to restore.

On a CPU a restored agent goes on bit for bit as the saved one would have: what its random
generators would draw next is part of the state.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import torch
from torch import Tensor

from medal_ros.learning.agent import Agent
from medal_ros.learning.weights import WeightsError

MODULES = ('policy', 'deployed', 'critics', 'targets')
OPTIMIZERS = {
    'encoder_optimizer': lambda agent: agent.policy.encoder,
    'critic_optimizer': lambda agent: agent.critics,
    'actor_optimizer': lambda agent: agent.policy.actor,
}


def agent_tensors(agent: Agent) -> dict[str, Tensor]:
    """Return networks, Adam's moments, counters and random generators of an agent, by name."""
    draws = json.dumps(agent.rng.bit_generator.state).encode()
    tensors = {
        'counters': torch.tensor([agent.steps, agent.updates]),
        'random.numpy': torch.tensor(list(draws), dtype=torch.uint8),
        'random.torch': torch.get_rng_state(),
    }
    for module in MODULES:
        for name, value in getattr(agent, module).state_dict().items():
            tensors[f'{module}.{name}'] = value
    for name, parameter, state in _moments(agent):
        tensors.update({f'{name}.{parameter}.{key}': value for key, value in state.items()})
    return tensors


def restore_agent(agent: Agent, tensors: dict[str, Tensor]) -> None:
    """Put an agent, and torch's generator, back into a saved state.

    Raises:
        WeightsError: The tensors are not an agent's, or are of networks of another size.
    """
    modules = {
        module: {
            name: tensors.get(f'{module}.{name}') for name in getattr(agent, module).state_dict()
        }
        for module in MODULES
    }
    if not {'counters', 'random.numpy', 'random.torch'} <= tensors.keys():
        raise WeightsError(f'the checkpoint of {agent.name} is not one of an agent')
    for module, values in modules.items():
        own = getattr(agent, module).state_dict()
        if any(v is None or v.shape != own[k].shape for k, v in values.items()):
            raise WeightsError(f'the checkpoint of {agent.name} is of other networks ({module})')
    for module, values in modules.items():
        getattr(agent, module).load_state_dict(values)
    for optimizer, owner in OPTIMIZERS.items():
        for i, parameter in enumerate(owner(agent).parameters()):
            prefix = f'{optimizer}.{i}.'
            state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            moments = {k: _laid_out_like(parameter, v) for k, v in state.items()}
            getattr(agent, optimizer).state[parameter] = moments
    agent.steps, agent.updates = (int(n) for n in tensors['counters'])
    agent.rng.bit_generator.state = json.loads(bytes(tensors['random.numpy'].tolist()))
    torch.set_rng_state(tensors['random.torch'])


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """Copy a moment into its parameter's memory format, which fused Adam takes for granted."""
    if value.shape != parameter.shape:  # the step count
        return value.to(parameter.device).clone()
    return torch.empty_like(parameter, requires_grad=False).copy_(value)


def _moments(agent: Agent) -> Iterator[tuple[str, int, dict[str, Tensor]]]:
    for name, owner in OPTIMIZERS.items():
        state = getattr(agent, name).state
        for i, parameter in enumerate(owner(agent).parameters()):
            yield name, i, state.get(parameter, {})
