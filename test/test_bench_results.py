"""What a job of the benchmark leaves: written whole, read back the same, refused when broken."""

import json
import math

import pytest

from medal_ros.bench.results import Result, load_result, load_results, unrecorded
from medal_ros.errors import UserError
from medal_ros.statistics import Evaluation


def result(**changes):
    values = {
        'size': 'laptop', 'task': 'tabletop', 'method': 'medalpp', 'seed': 2, 'preset': 'medalpp',
        'steps_planned': 800, 'repeat': 2, 'commit': 'abc1234', 'finished': True, 'steps': 800,
        'minutes': 9.5, 'cpu_minutes': 9.1, 'updates': 1600, 'reset_steps': [250, 500],
        'curve': [(0, Evaluation(1, 3, 10)), (800, Evaluation(7, 8, 10))],
        'backward_curve': [(800, Evaluation(9, 9, 10))],
        'final': Evaluation(40, 45, 50), 'lifetime': [(400, 0.25), (800, 0.5)],
        'segments': {'forward': (3, 4), 'backward': (0, 4)},
        'machine': {'cpu': 'a', 'cores': 2}, 'versions': {'torch': '2', 'rclpy': None},
    }  # fmt: skip
    return Result(**{**values, **changes})


def saved(root, **changes):
    one = result(**changes)
    return one.save(root / one.job)


def edited(root, change):
    path = saved(root)
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path


def test_a_result_comes_back_as_it_was(tmp_path):
    path = saved(tmp_path)
    assert path == tmp_path / 'laptop/tabletop/medalpp/seed_2/result.json'
    assert load_result(path) == result()
    assert [p.name for p in path.parent.iterdir()] == ['result.json']
    blank = Result('laptop', 'tabletop', 'bc', 0, 'bc', 0)
    assert load_result(blank.save(tmp_path / 'elsewhere')) == blank


def test_the_file_says_what_the_format_says(tmp_path):
    document = json.loads(saved(tmp_path, best=Evaluation(44, 46, 50)).read_text())
    assert document['format'] == 'medal_ros benchmark 1'
    assert document['resets'] == 2 and document['reset_steps'] == [250, 500]
    assert document['curve'][1] == {'steps': 800, 'last': 7, 'ever': 8, 'episodes': 10}
    assert document['final'] == {'last': 40, 'ever': 45, 'episodes': 50}
    assert document['best'] == {'last': 44, 'ever': 46, 'episodes': 50}
    assert document['segments'] == {'forward': [3, 4], 'backward': [0, 4]}
    assert document['lifetime'] == [[400, 0.25], [800, 0.5]]


def test_a_write_that_fails_leaves_the_former_result(tmp_path):
    path = saved(tmp_path)
    with pytest.raises(ValueError, match='JSON'):
        saved(tmp_path, lifetime=[(800, math.nan)])
    assert load_result(path) == result()
    assert [p.name for p in path.parent.iterdir()] == ['result.json']


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (lambda d: d.update(format='medal_ros benchmark 2'), r'seed_2 is of another version: .*2'),
        (lambda d: d.pop('format'), 'is not a result of this benchmark'),
        (lambda d: d.pop('steps'), 'steps is missing'),
        (lambda d: d['curve'][1].pop('ever'), r'curve\[1\].ever is missing'),
        (lambda d: d.update(steps='800'), "steps must be a whole number of at least 0, not '800'"),
        (lambda d: d.update(steps=True), 'steps must be a whole number of at least 0, not true'),
        (lambda d: d.update(steps=-1), 'steps must be a whole number of at least 0, not -1'),
        (lambda d: d.update(repeat=0), 'repeat must be a whole number of at least 1, not 0'),
        (lambda d: d.update(minutes=None), 'minutes must be a finite number .* not null'),
        (lambda d: d.update(finished=1), 'finished must be true or false, not 1'),
        (lambda d: d.update(method=3), 'method must be text, not 3'),
        (lambda d: d.update(commit=3), 'commit must be text, not 3'),
        (lambda d: d.update(curve={}), 'curve must be a list'),
        (lambda d: d.update(curve=[3]), r'curve\[0\] must be an object, not 3'),
        (lambda d: d.update(machine=[]), 'machine must be an object'),
        (lambda d: d['final'].update(last=46), 'final must have last <= ever <= episodes'),
        (lambda d: d['final'].update(episodes=0), r'final.episodes must .* at least 1, not 0'),
        (lambda d: d.update(final=None), 'finished is true and final is null'),
        (lambda d: d.update(resets=3), 'resets must be the length of reset_steps, 2'),
        (lambda d: d.update(reset_steps=[500, 250]), 'reset_steps do not increase'),
        (lambda d: d['curve'].reverse(), 'the steps of curve do not increase'),
        (lambda d: d.update(lifetime=[[400]]), r'lifetime\[0\] must be a list of two'),
        (lambda d: d['segments'].update(forward=[5, 4]), 'segments.forward must have no more'),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(tmp_path, change, sentence):
    path = edited(tmp_path, change)
    with pytest.raises(UserError, match=sentence) as refusal:
        load_result(path)
    assert str(path.parent) in str(refusal.value) and '\n' not in str(refusal.value)


@pytest.mark.parametrize(
    'content', [b'', b'{"format": "medal_ros benchm', b'\xff\xfe', b'{"steps": NaN}']
)
def test_a_half_written_file_is_refused(tmp_path, content):
    path = saved(tmp_path)
    path.write_bytes(content)
    with pytest.raises(UserError, match='half written or not JSON') as refusal:
        load_results(tmp_path)
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize('content', ['[]', '3', '{}', '{"format": null}'])
def test_another_file_of_that_name_is_refused(tmp_path, content):
    path = saved(tmp_path)
    path.write_text(content)
    with pytest.raises(UserError, match='is not a result of this benchmark'):
        load_result(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match='does not exist'):
        load_result(tmp_path / 'result.json')


def test_all_results_are_found_in_order(tmp_path):
    for seed, size in ((10, 'laptop'), (2, 'laptop'), (0, 'paper')):
        saved(tmp_path, seed=seed, size=size)
    saved(tmp_path, method='bc', seed=1)
    found = [one.job for one in load_results(tmp_path)]
    assert found == [
        'laptop/tabletop/bc/seed_1', 'laptop/tabletop/medalpp/seed_2',
        'laptop/tabletop/medalpp/seed_10', 'paper/tabletop/medalpp/seed_0',
    ]  # fmt: skip
    assert [one.size for one in load_results(tmp_path, 'paper')] == ['paper']


def test_a_job_without_a_result_is_known_and_harmless(tmp_path):
    saved(tmp_path)
    (tmp_path / 'laptop/tabletop/bc/seed_0').mkdir(parents=True)
    assert unrecorded(tmp_path) == ['laptop/tabletop/bc/seed_0']
    assert unrecorded(tmp_path, 'paper') == []
    assert [one.method for one in load_results(tmp_path)] == ['medalpp']


def test_folders_without_results_are_refused(tmp_path):
    with pytest.raises(UserError, match='missing is not a folder'):
        load_results(tmp_path / 'missing')
    with pytest.raises(UserError, match=r'no SIZE/TASK/METHOD/seed_N/result\.json in it'):
        load_results(tmp_path)
    saved(tmp_path)
    with pytest.raises(UserError, match=r'no paper/TASK/METHOD/seed_N/result\.json in it'):
        load_results(tmp_path, 'paper')
    with pytest.raises(UserError, match='has no results'):
        load_results(tmp_path / 'laptop')


def test_a_result_in_the_place_of_another_is_refused(tmp_path):
    path = saved(tmp_path)
    path.parent.rename(path.parent.with_name('seed_3'))
    with pytest.raises(UserError, match=r'seed_3 holds the result of another job, .*seed_2'):
        load_results(tmp_path)
