"""What a run leaves: figures that can be checked by hand, strict JSON, a picture."""

import json
import math
import os
from itertools import pairwise

import imageio.v2 as imageio
import numpy as np
import pytest

from medal_ros.learning_curve import HIGH, Label, draw_learning_curve, spread
from medal_ros.report import Point, RunRecord, describe, machine, summarise, versions, write_summary
from medal_ros.statistics import Evaluation, wilson


def evaluation(successes, episodes, ever=None):
    return Evaluation(successes, successes if ever is None else ever, episodes)


def record():
    """A run of 600 steps in 5 minutes, 4 of them practice."""
    run = RunRecord('tabletop_quick', 'quickstart', 3, steps=600, minutes=5.0)
    run.practice_minutes, run.updates = 4.0, 1200
    run.stored, run.refused, run.dropped = 590, 10, 7
    run.interventions = [100, 450]
    run.points = [
        Point(600, 'forward', evaluation(30, 40)),
        Point(200, 'forward', evaluation(10, 40)),
        Point(400, 'forward', evaluation(36, 40)),
        Point(400, 'backward', evaluation(20, 40)),
    ]
    outcomes = (evaluation(4, 10), evaluation(6, 10), evaluation(5, 10))
    run.cloning = [Point(10 * i, 'cloning', e) for i, e in enumerate(outcomes, 1)]
    run.final = evaluation(80, 100, ever=90)
    run.best = evaluation(95, 100)
    run.backward_final = evaluation(0, 50)
    run.finished = True
    return run


@pytest.mark.parametrize(
    ('successes', 'trials', 'low', 'high'),
    [
        # By hand, 8 of 10: centre (.8 + 3.8416/20) / 1.38416 = .71674, reach
        # 1.96 / 1.38416 * sqrt(.016 + .009604) = .22658
        (8, 10, 0.49016, 0.94332),
        (50, 100, 0.40383, 0.59617),
        (0, 10, 0.0, 0.27754),  # 3.8416 / 13.8416
        (10, 10, 0.72246, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson(successes, trials, low, high):
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-4)


def test_wilson_narrows_with_trials_and_widens_with_confidence():
    low, high = wilson(80, 100)
    assert wilson(8, 10)[0] < low and high < wilson(8, 10)[1]
    assert wilson(80, 100, z=2.576)[0] < low


@pytest.mark.parametrize('successes', [-1, 11])
def test_wilson_refuses_impossible_counts(successes):
    with pytest.raises(ValueError, match='from 0 to the 10 trials'):
        wilson(successes, 10)


@pytest.mark.parametrize('counts', [(0, 0, 0), (3, 2, 5), (1, 6, 5), (-1, 0, 5)])
def test_an_evaluation_must_add_up(counts):
    with pytest.raises(ValueError, match='an evaluation needs'):
        Evaluation(*counts)


def test_summary_has_every_figure(tmp_path):
    path = write_summary(record(), tmp_path)
    assert path == tmp_path / 'summary.json'
    read = json.loads(path.read_text())
    expected = {
        'task': 'tabletop_quick',
        'preset': 'quickstart',
        'seed': 3,
        'finished': True,
        'steps': 600,
        'minutes': 5.0,
        'env_steps_per_second': 2.5,  # 600 / 240 s
        'updates_per_second': 5.0,
        'interventions': 2,
        'intervention_steps': [100, 450],
        'bc_success': 0.6,
        'success': 0.8,
        'success_ever': 0.9,
        'best_success': 0.95,
        'best_steps': 400,
        'backward_success': 0.0,
        'eval_episodes': 100,
        'curve': [[200, 0.25], [400, 0.9], [600, 0.75]],
        'backward_curve': [[400, 0.5]],
        'stored': 590,
        'refused': 10,
        'dropped': 7,
    }
    assert {key: read[key] for key in expected} == expected
    assert read['success_interval'] == pytest.approx([0.7112, 0.8666], abs=1e-3)
    assert read['backward_success_interval'] == pytest.approx([0.0, 0.0713], abs=1e-3)
    assert [p.name for p in tmp_path.iterdir()] == ['summary.json']


def test_the_best_checkpoint_is_the_latest_of_equals():
    run = record()
    run.points += [Point(500, 'forward', evaluation(36, 40))]
    assert run.best_steps == 500
    run.points += [Point(550, 'backward', evaluation(40, 40))]
    assert run.best_steps == 500
    assert RunRecord('t', 'p', 0).best_steps is None


def test_what_was_not_measured_is_null_and_so_is_what_is_no_number(tmp_path):
    run = RunRecord('t', 'p', 0, steps=5, minutes=math.nan)
    text = write_summary(run, tmp_path).read_text()
    read = json.loads(text, parse_constant=pytest.fail)  # called for NaN and Infinity
    assert read['minutes'] is None
    for key in ('success', 'bc_success', 'best_success_interval', 'env_steps_per_second'):
        assert read[key] is None
    assert read['curve'] == [] and read['finished'] is False


def test_a_summary_is_replaced_whole(tmp_path, monkeypatch):
    path = write_summary(record(), tmp_path)
    before = path.read_text()
    monkeypatch.setattr(json, 'dumps', lambda *_, **__: '\ud800')  # cannot be written
    with pytest.raises(UnicodeEncodeError):
        write_summary(RunRecord('other', 'p', 0), tmp_path)
    assert path.read_text() == before


def test_machine_and_versions_are_named():
    assert machine()['cores'] == len(os.sched_getaffinity(0)) and machine()['cpu']
    assert versions()['numpy'] == np.__version__ and versions()['python'].startswith('3.')


def test_description_of_a_finished_run():
    text = describe(json.loads(json.dumps(summarise(record()))))
    lines = text.splitlines()
    assert lines[0] == 'tabletop_quick finished: 600 steps in 5.0 min, seed 3'
    assert lines[1] == '2.5 steps/s, 5.0 updates/s, 2 interventions'
    assert '0.60  (95 % interval 0.31 to 0.83)' in lines[2] and 'cloned' in lines[2]
    assert '0.80  (95 % interval 0.71 to 0.87)' in lines[3] and 'last' in lines[3]
    assert '0.95' in lines[4] and '0.00' in lines[5]
    assert lines[6] == 'judged at the last step of 100 unseen starts'


def test_description_of_a_run_that_was_stopped():
    run = record()
    run.finished, run.final, run.best, run.backward_final = False, None, None, None
    text = describe(summarise(run))
    assert 'stopped early' in text and 'unseen starts' not in text
    assert 'after 600 steps: success 0.75 in a periodic evaluation' in text
    assert '- steps/s' in describe(summarise(RunRecord('t', 'p', 0)))


def near(image, colour, tolerance=12):
    """Return where an image has nearly a colour, `(rows, columns)`."""
    return np.nonzero(np.abs(image[..., :3].astype(int) - colour).max(-1) <= tolerance)


BLUE, ORANGE, DARK = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0x22, 0x22, 0x22)


def test_the_picture_has_both_policies_baseline_and_interventions(tmp_path):
    draw_learning_curve(record(), tmp_path / 'curve.png')
    image = imageio.imread(tmp_path / 'curve.png')
    assert image.shape[:2] == (700, 1200)
    assert [p.name for p in tmp_path.iterdir()] == ['curve.png']
    for colour in (BLUE, ORANGE):
        assert len(near(image[:, :925], colour)[0]) > 50
    # The axes are 804 px wide from 84; below zero there are two ticks, at 100 and 450 of 600.
    ticks = image[606:628, 84:888]
    columns = np.unique(near(ticks, DARK)[1])
    groups = np.split(columns, np.nonzero(np.diff(columns) > 5)[0] + 1)
    assert [group.mean() for group in groups] == pytest.approx([804 / 6, 804 * 0.75], abs=3)


def test_the_baseline_is_drawn_at_its_height(tmp_path):
    run = RunRecord('t', 'p', 0, steps=100)
    draw_learning_curve(run, tmp_path / 'without.png')
    run.cloning = [Point(10, 'cloning', evaluation(6, 10))]
    draw_learning_curve(run, tmp_path / 'with.png')
    without, image = (
        imageio.imread(tmp_path / f'{n}.png').astype(int) for n in ('without', 'with')
    )
    rows = np.nonzero(np.abs(image - without)[:, 90:880].max((1, 2)) > 60)[0]
    one, zero = 700 * (1 - 0.1 - 0.735 * 1.09 / 1.13), 700 * (1 - 0.1 - 0.735 * 0.09 / 1.13)
    assert rows.mean() == pytest.approx(zero + 0.6 * (one - zero), abs=2)
    assert len(rows) <= 4


def test_the_band_grows_with_fewer_episodes(tmp_path):
    def band(episodes):
        run = RunRecord('t', 'p', 0, steps=100)
        half = evaluation(episodes // 2, episodes)
        run.points = [Point(steps, 'forward', half) for steps in (10, 90)]
        draw_learning_curve(run, tmp_path / 'curve.png')
        image = imageio.imread(tmp_path / 'curve.png')
        middle = image[:, 480:490, :3].astype(int)
        return int(((middle[..., 2] - middle[..., 0]) > 20).all(1).sum())

    # Wilson's interval of a half: 10 episodes .237 to .763, 100 episodes .404 to .596.
    height = 700 * 0.735 / 1.13
    assert band(10) == pytest.approx(0.526 * height, abs=4)
    assert band(100) == pytest.approx(0.192 * height, abs=4)


@pytest.mark.parametrize('heights', [(0.9, 0.9, 0.9), (0.0, 0.01, 0.02), (1.0, 0.5, 0.0), (1, 1)])
def test_labels_never_overlap_and_stay_inside(heights):
    labels = [Label(h, f'policy {i}', ('one', 'two'), 'k') for i, h in enumerate(heights)]
    placed = spread(labels)
    for (top, label), (below, _) in pairwise(placed):
        assert top - label.size >= below - 1e-9
    assert placed[0][0] <= HIGH and placed[-1][0] - placed[-1][1].size >= -1e-9


def test_labels_that_fit_stay_where_they_are():
    labels = [Label(0.3, 'a', (), 'k'), Label(0.8, 'b', (), 'k')]
    assert [round(top, 3) for top, _ in spread(labels)] == [0.821, 0.321]
