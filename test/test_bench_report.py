"""The benchmark's statistics against hand-computed values, and its page from made-up results."""

import base64
import math
import re
from html.parser import HTMLParser

import imageio.v3 as imageio
import numpy as np
import pytest
from matplotlib.figure import Figure

from medal_ros.bench.aggregate import (
    STUDENT,
    band,
    compare,
    counts,
    interquartile_mean,
    iqm_success,
    mean_of,
    mean_success,
    probability_of_improvement,
)  # fmt: skip
from medal_ros.bench.collection import Collection, collections
from medal_ros.bench.curves import aligned
from medal_ros.bench.figures import NAMES, Picture
from medal_ros.bench.frame import encode
from medal_ros.bench.page import PAGE, write_report
from medal_ros.bench.results import Result, load_results
from medal_ros.bench.tables import commands, sentence, table, task_table
from medal_ros.errors import UserError
from medal_ros.statistics import Evaluation, wilson


def runs(*successes, episodes=50):
    return np.array([(count, episodes) for count in successes])


def spread_runs(generator, mean, spread, seeds, episodes=50):
    total = mean * (1 - mean) / spread**2 - 1
    chances = generator.beta(mean * total, (1 - mean) * total, seeds)
    return {'a': np.stack([generator.binomial(episodes, chances), np.full(seeds, episodes)], 1)}


@pytest.mark.parametrize(
    ('scores', 'mean'),
    [
        ([0.1, 0.9, 0.3, 0.6], (0.3 + 0.6) / 2),  # the trimmed mean: one score off each end
        ([8, 1, 2, 7, 3, 6, 5, 100], (3 + 5 + 6 + 7) / 4),  # and two
        ([0.9, 0.0, 0.3], (0.25 * 0 + 0.3 + 0.25 * 0.9) / 1.5),  # parts of the outer two
        ([0, 0.1, 0.4, 0.6, 0.7, 1], (0.05 + 0.4 + 0.6 + 0.35) / 3),
        ([0.4], 0.4),
    ],
)
def test_interquartile_mean_by_hand(scores, mean):
    assert interquartile_mean(np.array(scores)) == pytest.approx(mean)
    both = interquartile_mean(np.array([scores, [3 * score for score in scores]]))
    assert both == pytest.approx([mean, 3 * mean])


def test_every_task_weighs_the_same_in_the_interquartile_mean():
    # One run of half the weight, three of a sixth: what is kept is 1/4, 1/6 and 1/12.
    uneven = {'a': runs(10), 'b': runs(30, 40, 50)}
    expected = (0.2 / 4 + 0.6 / 6 + 0.8 / 12) / 0.5
    assert iqm_success(uneven).value == pytest.approx(expected)
    weights = np.array([3, 1, 1, 1])
    scores = np.array([0.2, 0.6, 0.8, 1.0])
    assert interquartile_mean(scores, weights) == pytest.approx(expected)


def test_every_task_counts_the_same_in_the_mean():
    assert mean_success({'a': runs(10), 'b': runs(30, 40, 50)}).value == pytest.approx(0.5)
    evaluations = [Evaluation(1, 3, 10), Evaluation(2, 2, 20)]
    assert counts(evaluations).tolist() == [[1, 10], [2, 20]]
    assert counts(evaluations, ever=True).tolist() == [[3, 10], [2, 20]]


def test_a_bootstrap_repeats_with_its_seed():
    tasks = {'a': runs(10, 20, 44), 'b': runs(3, 30)}
    for statistic in (mean_success, iqm_success):
        assert statistic(tasks) == statistic(tasks)
        assert statistic(tasks) != statistic(tasks, seed=1)
    assert compare(tasks, tasks) == compare(tasks, tasks)


def test_the_episodes_of_a_seed_are_drawn_too():
    # With one seed nothing else is; Wilson's interval knows the same.
    value, low, high = mean_success({'a': runs(40)})
    assert value == 0.8 and (low, high) == pytest.approx(wilson(40, 50), abs=0.03)
    alike = mean_success({'a': runs(25, 25, 25, episodes=50)})
    assert (alike.low, alike.high) == pytest.approx(wilson(75, 150), abs=0.01)


def test_runs_without_a_failure_may_fail_all_the_same():
    value, low, high = mean_success({'a': runs(20, 20, 20, episodes=20)})
    assert (value, high) == (1, 1) and low == pytest.approx(wilson(60, 60)[0], abs=0.02)
    assert mean_success({'a': runs(0, 0)})[:2] == (0, 0)


def test_the_seeds_are_drawn_within_their_tasks():
    # Tasks that differ and seeds that do not: drawn across tasks, all of 0 to 1 would come out.
    low, high = mean_success({'a': runs(2, 2, 2), 'b': runs(48, 48, 48)})[1:]
    assert 0.45 < low < 0.49 and 0.51 < high < 0.55
    wide = mean_success({'a': runs(5, 25, 45)})
    assert wide.low < 0.15 and wide.high > 0.85


def test_most_intervals_hold_the_truth():
    generator = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        _, low, high = mean_success(spread_runs(generator, 0.6, 0.15, seeds=10), draws=300)
        held += low <= 0.6 <= high
    assert 0.88 <= held / 200 <= 0.99


def test_two_seeds_seldom_claim_what_is_not_there():
    generator = np.random.default_rng(4)
    pairs = [
        compare(*(spread_runs(generator, 0.6, 0.3, seeds=2) for _ in range(2)), draws=200)
        for _ in range(250)
    ]
    apart, separate = (np.mean([getattr(p, what) for p in pairs]) for what in ('apart', 'separate'))
    assert separate < 0.1 < apart


def test_students_quantiles():
    assert len(STUDENT) == 30
    for freedom, quantile in enumerate(STUDENT, 1):
        at = np.linspace(0, quantile, 20001)
        scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
        scale = math.exp(scale) / math.sqrt(freedom * math.pi)
        density = scale * (1 + at**2 / freedom) ** (-(freedom + 1) / 2)
        inside = np.sum((density[1:] + density[:-1]) / 2) * at[1]
        assert 0.5 + inside == pytest.approx(0.975, abs=5e-5)


def test_probability_of_improvement_by_hand():
    ours, theirs = {'a': runs(25, 45)}, {'a': runs(25, 35)}  # tie, loss, win, win
    assert probability_of_improvement(ours, theirs).value == 0.625
    ours['b'], theirs['b'] = runs(1), runs(2, 0, 0)
    value, low, high = probability_of_improvement(ours, theirs)
    assert value == pytest.approx((0.625 + 2 / 3) / 2) and 0 <= low < value < high <= 1


def test_methods_are_separate_only_beyond_the_spread_of_their_seeds():
    clear = compare({'a': runs(45, 46, 44)}, {'a': runs(10, 12, 8)})
    assert clear.separate
    assert (clear.ours.value, clear.theirs.value) == pytest.approx((0.9, 0.2))
    assert compare({'a': runs(10, 12, 8)}, {'a': runs(45, 46, 44)}).separate
    assert not compare({'a': runs(30, 25)}, {'a': runs(20, 28)}).apart
    luck = compare({'a': runs(49, 40)}, {'a': runs(28, 5)})
    assert luck.apart and not luck.separate
    one = compare({'a': runs(49)}, {'a': runs(2)})
    assert one.apart and not one.separate
    # Two seeds of each: two degrees of freedom, quantile 4.303, pooled variance 0.005.
    # 4.303 * sqrt(0.005 * (1/2 + 1/2)) = 0.304.
    assert not compare(
        {'a': runs(75, 85, episodes=100)}, {'a': runs(45, 55, episodes=100)}
    ).separate
    assert compare({'a': runs(75, 85, episodes=100)}, {'a': runs(40, 50, episodes=100)}).separate


def test_only_common_tasks_are_compared():
    found = compare({'a': runs(40, 40), 'b': runs(0, 0)}, {'a': runs(40, 40), 'c': runs(50)})
    assert found.ours.value == found.theirs.value == 0.8
    with pytest.raises(ValueError, match='no task in common'):
        compare({'a': runs(1)}, {'b': runs(1)})


def test_bands_and_means_of_seeds():
    low, high = band(np.array([[0.0, 0.5], [1.0, 0.5]]))
    assert low.tolist() == [0, 0.5] and high.tolist() == [1, 0.5]
    assert mean_of([1, 3]) == (2, 1, 3) and mean_of([0.25]) == (0.25, 0.25, 0.25)


def test_curves_are_put_onto_the_same_steps():
    steps, values = aligned([[(0, 0.0), (10, 1.0)], [(5, 0.2), (20, 0.8)]])
    assert steps.tolist() == [5, 10]
    assert values == pytest.approx(np.array([[0.5, 1.0], [0.2, 0.4]]))


LEVELS = {'medalpp': 0.9, 'bc': 0.4, 'oracle': 0.86, 'no_ensemble': 0.6, '<b>mine': 0.5}


def made_up(method, task='tabletop', seed=0, size='laptop', finished=True):
    final = round(50 * LEVELS[method]) + seed
    one = Result(size, task, method, seed, 'earl', 0 if method == 'bc' else 8000, repeat=2)
    one.commit, one.minutes = 'abcdef0123456789', 9.0 + seed
    one.cpu_minutes = 7.0 + seed
    one.machine, one.versions = {'cpu': 'Some CPU', 'cores': 2}, {'torch': '2.13.0', 'rclpy': None}
    if method != 'bc':
        one.steps = 8000 if finished else 4000
        grid = range(0, one.steps + 1, 1000)
        ends = [min(20, step // 400) for step in grid]
        pairs = zip(grid, ends, strict=True)
        one.curve = [(step, Evaluation(end, end, 20)) for step, end in pairs]
        one.lifetime = [(step, 0.1 * step / 8000) for step in grid if step]
        one.reset_steps = [2500, 5000]
        one.segments = {'forward': (3, 4), 'backward': (1, 4)}
    if finished:
        one.finished, one.final = True, Evaluation(final, min(50, final + 2), 50)
    return one


def some_results():
    results = [made_up(method, seed=seed) for method in LEVELS for seed in range(3)]
    for method in ('medalpp', 'bc'):
        results += [made_up(method, 'sawyer_door', seed) for seed in (0, 2)]
    results.append(made_up('oracle', seed=3, finished=False))
    return results


def save(root, *results):
    for one in results:
        one.save(root / one.job)


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp('results')
    save(root, *some_results())
    (root / 'laptop/sawyer_door/oracle/seed_0').mkdir(parents=True)
    return write_report(root, root / 'report')


@pytest.fixture(scope='module')
def page(report):
    return report[0].read_text()


@pytest.fixture
def quick(monkeypatch):
    """Draw one small picture instead of all, where files matter and pictures do not."""
    picture = Picture('success', 'a dot', encode(Figure((0.1, 0.1))))
    monkeypatch.setattr('medal_ros.bench.page.draw', lambda collection: [picture])


class Tags(HTMLParser):
    """What a page shows, and what it points to; every element must be closed in order."""

    OPEN = ('meta', 'img')

    def __init__(self, page):
        super().__init__()
        self.texts, self.links, self.stack, self.names = [], [], [], set()
        self.feed(page)
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.links += [value for key, value in attrs if key in ('src', 'href', 'srcset', 'action')]
        if tag not in self.OPEN:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())


def test_the_page_stands_alone(page):
    tags = Tags(page)
    assert tags.links and all(link.startswith('data:image/png;base64,') for link in tags.links)
    assert not tags.names & {'script', 'link', 'iframe', 'object'}
    assert 'url(' not in page and '@import' not in page


def test_every_figure_is_there_twice_and_can_be_seen(report, page):
    names = [path.name for path in report]
    kinds = ('success', 'aggregate', 'ablation', 'resets', 'minutes', 'lifetime')
    assert names == [PAGE, *(f'laptop_{kind}.png' for kind in kinds)]
    embedded = re.findall('base64,([^"]+)"', page)
    for path, data in zip(report[1:], embedded, strict=True):
        assert base64.b64decode(data) == path.read_bytes()
        image = imageio.imread(path)
        assert image.shape[1] == 1650 and 300 < image.shape[0] < 2000
        assert (image[..., :3].min(-1) < 200).mean() > 0.005  # not an empty sheet
    assert {name.removeprefix('laptop_').removesuffix('.png') for name in names[1:]} < set(NAMES)
    assert sorted(path.name for path in report[0].parent.iterdir()) == sorted(names)


def test_the_page_says_what_may_be_said(page):
    texts = Tags(page).texts
    # Successes of 50 on the first task, and without the middle seed on the second.
    ours = mean_success({'a': runs(45, 46, 47), 'b': runs(45, 47)})
    theirs = mean_success({'a': runs(20, 21, 22), 'b': runs(20, 22)})
    start = f'MEDAL++ 0.92 ({ours.low:.2f} to {ours.high:.2f}) against BC 0.42 ({theirs.low:.2f} '
    [said] = [text for text in texts if 'against BC' in text and 'all 2 tasks' in text]
    assert said.startswith(start) and ': separate, MEDAL++ is above.' in said
    assert 'improvement 1.00 (1.00 to 1.00)' in said and '2 or more seeds of each' in said
    [said] = [text for text in texts if 'against oracle RL' in text]
    assert 'on tabletop: inconclusive at this size.' in said
    assert sum('against BC' in text for text in texts) == 3


def test_the_page_says_what_was_run_and_how_to_repeat_it(page):
    texts = ' '.join(Tags(page).texts)
    assert '19 finished jobs, 2 unfinished; commit abcdef0123' in texts
    assert 'size laptop · preset earl · seeds 0, 2 (sawyer_door); 0, 1, 2, 3 (tabletop)' in texts
    assert 'cpu Some CPU' in texts and 'torch 2.13.0' in texts and 'rclpy' not in texts
    assert 'git checkout abcdef0123456789\n' in texts
    assert (
        'medal bench earl --size laptop --tasks sawyer_door --methods medalpp bc --seeds 0,2'
        in texts
    )
    assert '<b>mine' in texts and '<b>mine' not in page  # escaped


def test_unfinished_jobs_are_listed_and_in_no_figure(page):
    texts = Tags(page).texts
    at = texts.index('laptop/tabletop/oracle/seed_3')
    assert texts[at + 1 : at + 3] == ['4000 of 8000 steps', '0.50']
    assert 'laptop/sawyer_door/oracle/seed_0' in texts and 'nothing recorded yet' in texts
    collection = collections(some_results())[0]
    assert len(collection.runs('oracle')['tabletop']) == 3
    row = next(row for row in task_table(collection).rows if row[:2] == ['tabletop', 'oracle RL'])
    assert row[2] == '3' and row[3].startswith('0.88 ')


def test_markdown_has_a_row_for_each_task_and_method():
    lines = table(some_results()).splitlines()
    heads = '| task | method | seeds | success | ever | resets | minutes | CPU minutes'
    assert lines[0].startswith(heads)
    assert set(lines[1]) <= set('| -') and len(lines) == 2 + 5 + 2
    low, high = mean_success({'a': runs(45, 46, 47)})[1:]
    assert lines[2].startswith(
        f'| tabletop | MEDAL++ | 3 | 0.92 ({low:.2f} to {high:.2f}) | 0.96 ('
    )
    assert lines[2].endswith('| 2 | 10 | 8 | 0.100 (0.100 to 0.100) | 0.75 | 0.25 |')
    assert [line.split(' | ')[1] for line in lines[3:5]] == ['oracle RL', 'no ensemble (SAC)']
    assert lines[-1].startswith('| sawyer_door | BC | 2 |') and lines[-1].count(' | \u2013') == 3


def test_sizes_are_never_mixed(tmp_path, quick):
    other = made_up('bc', size='paper')
    save(tmp_path, made_up('bc'), made_up('bc', seed=1), other)
    laptop, paper = collections(load_results(tmp_path))
    assert [len(one.results) for one in (laptop, paper)] == [2, 1]
    written = write_report(tmp_path, tmp_path / 'out')
    texts = Tags(written[0].read_text()).texts
    assert [text for text in texts if text.startswith('Size ')] == ['Size laptop', 'Size paper']
    assert [path.name for path in written[1:]] == ['laptop_success.png', 'paper_success.png']
    assert sum('no task has finished jobs of MEDAL++' in text for text in texts) == 2
    only = write_report(tmp_path, tmp_path / 'only', 'paper')
    assert [path.name for path in only[1:]] == ['paper_success.png']
    assert '**laptop**' in table([made_up('bc'), other])


def test_a_report_of_unfinished_jobs_alone(tmp_path):
    save(tmp_path, made_up('medalpp', finished=False))
    written = write_report(tmp_path, tmp_path / 'out')
    assert [path.name for path in written[1:]] == ['laptop_success.png', 'laptop_lifetime.png']
    assert 'No job is finished.' in written[0].read_text()


def test_a_former_report_is_replaced_and_nothing_else(tmp_path, quick):
    save(tmp_path, made_up('bc'))
    out = tmp_path / 'out'
    first = write_report(tmp_path, out)
    former = first[0].read_text()
    (out / 'notes.txt').write_text('mine')
    save(tmp_path, made_up('bc', seed=1))
    assert write_report(tmp_path, out) == first and first[0].read_text() != former
    assert (out / 'notes.txt').read_text() == 'mine'
    for path in first[:2]:
        kept = path.read_bytes()
        path.write_bytes(b'another page')
        others = {p: p.read_bytes() for p in out.iterdir()}
        with pytest.raises(UserError, match=f'{path.name} is not of an earlier report'):
            write_report(tmp_path, out)
        assert {p: p.read_bytes() for p in out.iterdir()} == others
        path.write_bytes(kept)
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='is a file'):
        write_report(tmp_path, tmp_path / 'file')


def test_nothing_is_written_of_results_that_cannot_be_used(tmp_path):
    with pytest.raises(UserError, match='has no results'):
        write_report(tmp_path, tmp_path / 'out')
    one = made_up('bc')
    path = one.save(tmp_path / one.job)
    path.write_text(path.read_text().replace('benchmark 1', 'benchmark 0'))
    with pytest.raises(UserError, match='another version'):
        write_report(tmp_path, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_verdicts_say_so_when_the_order_is_reversed_or_chance():
    def said(ours, theirs):
        one = Collection('laptop', [*ours, *theirs])
        [verdict] = one.verdicts()
        return sentence(verdict, 1)

    def jobs(method, *successes):
        found = [made_up('bc', seed=seed) for seed in range(len(successes))]
        for one, count in zip(found, successes, strict=True):
            one.method, one.final = method, Evaluation(count, count, 50)
        return found

    low, high = (10, 11, 12), (45, 46, 47)
    assert 'separate, BC is above' in said(jobs('medalpp', *low), jobs('bc', *high))
    luck = said(jobs('medalpp', 49, 40), jobs('bc', 28, 5))
    assert 'inconclusive at this size (the intervals lie apart, and 2 seeds are too few' in luck
    assert 'and one seed is too few' in said(jobs('medalpp', 49), jobs('bc', 5))


def test_commands_name_seeds_as_they_were():
    def line(*seeds):
        jobs = [made_up('bc', seed=seed, size='paper') for seed in seeds]
        checkout, *others = commands(Collection('paper', jobs))
        assert checkout == 'git checkout abcdef0123456789'
        return others

    start = 'medal bench earl --size paper --tasks tabletop --methods bc --seeds'
    assert line(0, 1, 2) == [f'{start} 3'] and line(1, 4) == [f'{start} 1,4']
    assert line(3) == [f'{start} 3,']


def test_a_commit_is_named_only_where_it_is_one():
    first, second = made_up('bc'), made_up('bc', seed=1)
    first.commit = second.commit = 'abc1234+'
    changed = commands(Collection('laptop', [first, second]))[0]
    assert changed == 'git checkout abc1234  # plus changes that were not committed'
    second.commit = None
    assert commands(Collection('laptop', [first, second]))[0].startswith('medal bench earl')


def test_one_seed_has_no_interval_of_its_lifetime_reward():
    assert table([made_up('oracle')]).endswith('| 2 | 9 | 7 | 0.100 | 0.75 | 0.25 |\n')
