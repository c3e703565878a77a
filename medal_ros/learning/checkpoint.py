"""The whole state of an agent's training as named tensors, to save and to restore.

On a CPU a restored agent goes on bit for bit as the saved one would have: what its random
generators would draw next is part of the state.
"""

from __future__ import annotations

import json

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medal_ros.errors import WeightsError
from medal_ros.learning.agent import Agent
from medal_ros.learning.cuda_graph import cuda_graphs


def modules_of(agent: Agent) -> dict[str, nn.Module]:
    names = ('policy', 'deployed', 'critics', 'targets', 'temperature')
    return {name: getattr(agent, name) for name in names if getattr(agent, name) is not None}


def optimizers_of(agent: Agent) -> dict[str, tuple[Optimizer, nn.Module]]:
    """Return each optimizer with what it trains, in the order of the parameters."""
    optimizers = {
        'encoder_optimizer': (agent.encoder_optimizer, agent.policy.encoder),
        'critic_optimizer': (agent.critic_optimizer, agent.critics),
        'actor_optimizer': (agent.actor_optimizer, agent.policy.actor),
    }
    if agent.temperature is not None:
        optimizers['temperature_optimizer'] = agent.temperature.optimizer, agent.temperature
    return optimizers


def agent_tensors(agent: Agent) -> dict[str, Tensor]:
    """Return networks, Adam's moments, counters and random generators of an agent, by name."""
    draws = json.dumps(agent.rng.bit_generator.state).encode()
    tensors = {
        'counters': torch.tensor([agent.steps, agent.updates]),
        'random.numpy': torch.tensor(list(draws), dtype=torch.uint8),
        'random.torch': torch.get_rng_state(),
    }
    if agent.device.type == 'cuda':
        tensors['random.cuda'] = torch.cuda.get_rng_state(agent.device)
    for module, own in modules_of(agent).items():
        tensors |= {f'{module}.{name}': value for name, value in own.state_dict().items()}
    for name, (optimizer, module) in optimizers_of(agent).items():
        tensors |= optimizer_tensors(optimizer, module, name)
    return tensors


def restore_agent(agent: Agent, tensors: dict[str, Tensor]) -> None:
    """Put an agent, and torch's generator, back into a saved state.

    Raises:
        WeightsError: The tensors are not an agent's, or are of networks of another size.
    """
    own = modules_of(agent)
    modules = {
        name: {key: tensors.get(f'{name}.{key}') for key in module.state_dict()}
        for name, module in own.items()
    }
    if not {'counters', 'random.numpy', 'random.torch'} <= tensors.keys():
        raise WeightsError(f'the checkpoint of {agent.name} is not one of an agent')
    for name, values in modules.items():
        state = own[name].state_dict()
        if any(v is None or v.shape != state[k].shape for k, v in values.items()):
            raise WeightsError(f'the checkpoint of {agent.name} is of other networks ({name})')
    for name, values in modules.items():
        own[name].load_state_dict(values)
    for name, (optimizer, module) in optimizers_of(agent).items():
        restore_optimizer(optimizer, module, name, tensors)
    agent.steps, agent.updates = (int(n) for n in tensors['counters'])
    agent.rng.bit_generator.state = json.loads(bytes(tensors['random.numpy'].tolist()))
    torch.set_rng_state(tensors['random.torch'])
    if agent.device.type == 'cuda':
        agent.record(cuda_graphs(agent.device, 2))  # the old moments of Adam are gone
        if 'random.cuda' in tensors:
            torch.cuda.set_rng_state(tensors['random.cuda'], agent.device)


def optimizer_tensors(optimizer: Optimizer, module: nn.Module, name: str) -> dict[str, Tensor]:
    """Return Adam's moments of a module's parameters, by name."""
    return {
        f'{name}.{i}.{key}': value
        for i, parameter in enumerate(module.parameters())
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizer(
    optimizer: Optimizer, module: nn.Module, name: str, tensors: dict[str, Tensor]
) -> None:
    """Put Adam's moments of a module's parameters back."""
    for i, parameter in enumerate(module.parameters()):
        prefix = f'{name}.{i}.'
        state = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        optimizer.state[parameter] = {k: _laid_out_like(parameter, v) for k, v in state.items()}


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """Copy a moment into its parameter's memory format, which fused Adam takes for granted."""
    if value.shape != parameter.shape:  # the step count
        return value.to(parameter.device).clone()
    return torch.empty_like(parameter, requires_grad=False).copy_(value)
