from dispatch.analysis.page_pieces import card, chart_place, known_by, legend, settings_table, titled_chart

LINE = {"name": "in time", "line": {"color": "#111111", "dash": "dot"}, "marker": {"color": "#111111"}}
BAR = {"name": "filed", "marker": {"color": "#222222"}}
HEAT = {"name": "many", "marker": {"color": ["#333333", "#444444"]}}


def test_a_legend_tells_lines_from_bars():
    told = legend({"data": [BAR, LINE, HEAT, {"line": {"color": "#555555"}}]})
    assert told.count("<i ") == 2
    assert '<i class="dot" style="--run:#222222"></i>filed' in told
    assert '<i class="stroke dot" style="--run:#111111"></i>in time' in told


def test_one_trace_needs_no_legend():
    assert legend({"data": [BAR]}) == ""
    assert 'class="legend"' not in titled_chart("x", "X", {"data": [BAR]})


def test_words_are_no_html():
    for made in (
        chart_place("x", 'a "<b>"'),
        titled_chart("x", 'a "<b>"', {"data": []}),
        card("x", "<b>", "<b>"),
        known_by("x", "<b>"),
        settings_table({"<b>": "<b>"}),
    ):
        assert "<b>" not in made
        assert "&lt;b&gt;" in made
