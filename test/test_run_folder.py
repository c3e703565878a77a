"""Where a run keeps what."""

from medal_ros.run_folder import RunFolder


def test_run_folder(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.policy('forward', 14_000).name == 'forward_00014000.safetensors'
    assert folder.training_state('backward').parent == folder.checkpoints
    names = [folder.policy('forward', n).name for n in (900, 10_000, 250)]
    assert sorted(names) == [names[2], names[0], names[1]]


def test_replay_has_room_for_every_step_of_a_run(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.replay_capacity(100) >= 2 * 100  # every step with a break after it
    assert folder.replay_capacity(0) >= 10**6  # until stopped
