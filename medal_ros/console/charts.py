"""The charts of the console, as options of ECharts. Lines differ in dashes and marks, too."""

from __future__ import annotations

from typing import Any

from medal_ros.console.board import TRACE_OVER, CurvePoint, View

# Told apart with any colour vision, and in grey (Okabe and Ito).
BLUE, ORANGE, GREY, DARK = '#0072B2', '#D55E00', '#5B6770', '#222222'
LINES = {'forward': (BLUE, 'solid', 'circle'), 'backward': (ORANGE, 'dashed', 'rect')}
FONT = {'fontSize': 12, 'color': GREY}


def traces(view: View) -> dict[str, Any]:
    """Return two strips over the last minute: the classifiers' scores, and the rewards."""
    points = [(round(p.at - view.now, 2), p) for p in view.trace]
    series = []
    for side, name in enumerate(LINES):
        scores = [[at, round(p.scores[side], 3)] for at, p in points]
        rewards = [[at, round(p.rewards[side], 3)] for at, p in points]
        series.append({**_line(name), 'data': scores, 'xAxisIndex': 0, 'yAxisIndex': 0})
        series.append({**_line(name), 'data': rewards, 'xAxisIndex': 1, 'yAxisIndex': 1})
    times = {'type': 'value', 'min': -TRACE_OVER, 'max': 0, 'splitLine': {'show': False}}
    left = {'type': 'value', 'axisLabel': FONT, 'position': 'left', 'axisLine': {'onZero': False}}
    seconds = {**FONT, 'formatter': '{value} s'}
    place = {'left': 44, 'right': 10, 'height': '32%'}
    title = {'textStyle': {'fontSize': 12, 'fontWeight': 'bold', 'color': DARK}, 'left': 0}
    return {
        'animation': False,
        'legend': {'data': list(LINES), 'right': 0, 'top': 0, 'itemWidth': 30},
        'title': [
            {**title, 'text': 'success probability (forward) and backward score', 'top': 0},
            {**title, 'text': 'learned reward', 'top': '50%'},
        ],
        'grid': [{**place, 'top': 26}, {**place, 'top': '61%'}],
        'xAxis': [
            {**times, 'gridIndex': 0, 'axisLabel': {'show': False}},
            {**times, 'gridIndex': 1, 'axisLabel': seconds},
        ],
        'yAxis': [
            {**left, 'min': 0, 'max': 1, 'interval': 0.5, 'gridIndex': 0},
            {**left, 'min': 0, 'splitNumber': 2, 'gridIndex': 1},
        ],
        'series': series,
    }  # fmt: skip


def curve(view: View) -> dict[str, Any]:
    """Return success over steps of practice, against cloning, with a mark for each intervention."""
    cloning = view.curves.get('cloning', ())
    series = [_success(name, view.curves.get(name, ())) for name in LINES]
    best = max((point.success for point in cloning), default=None)
    if best is not None:
        line = {'lineStyle': {'type': 'dotted', 'color': DARK, 'width': 2}, 'symbol': 'none'}
        label = {'formatter': f'cloning alone {best:.0%}', 'position': 'insideEndTop'}
        series[0]['markLine'] = {**line, 'data': [{'yAxis': best, 'label': label}], 'silent': True}
    series.append(
        {
            'name': 'intervention',
            'type': 'scatter',
            'symbol': 'triangle',
            'symbolSize': 9,
            'itemStyle': {'color': DARK},
            'data': [[steps, 0] for steps in view.interventions],
        }
    )
    percent = {**FONT, ':formatter': 'value => Math.round(value * 100) + " %"'}
    return {
        'animation': False,
        'legend': {'top': 0, 'itemWidth': 30},
        'tooltip': {'trigger': 'axis'},
        'grid': {'left': 54, 'right': 24, 'top': 36, 'bottom': 46},
        'xAxis': {
            'type': 'value', 'min': 0, 'name': 'steps of practice', 'nameLocation': 'middle',
            'nameGap': 30, 'axisLabel': FONT, 'splitLine': {'show': False},
        },
        'yAxis': {'type': 'value', 'min': 0, 'max': 1, 'axisLabel': percent},
        'series': series,
    }  # fmt: skip


def _success(name: str, points: tuple[CurvePoint, ...]) -> dict[str, Any]:
    data = [[point.steps, round(point.success, 4)] for point in points]
    symbol = LINES[name][2]
    return {**_line(name), 'data': data, 'showSymbol': True, 'symbol': symbol, 'symbolSize': 8}


def _line(name: str) -> dict[str, Any]:
    colour, dashes, symbol = LINES[name]
    return {
        'name': name,
        'type': 'line',
        'showSymbol': False,
        'symbol': symbol,
        'lineStyle': {'color': colour, 'type': dashes, 'width': 2},
        'itemStyle': {'color': colour},
    }
