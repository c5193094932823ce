"""Write the benchmarks' figures into the pages that quote them.

``python docs/generate_figures.py`` replaces what stands between ``<!-- figures: NAME -->`` or
``<!-- table: NAME -->`` and ``<!-- end -->`` by what ``benchmarks/results/NAME.json`` says, where
there is that file; with ``--check`` it only tells whether the pages are up to date. A test does the
same.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"
_BLOCK = re.compile(r"(<!-- (?:figures|table): (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def written(text: str) -> str:
    """Return a page with its figures as the results have them."""

    def block(match: re.Match[str]) -> str:
        file = RESULTS / f"{match[2]}.json"
        if not file.is_file():
            return match[0]
        body = _FIGURES[match[2]](json.loads(file.read_text(encoding="utf-8")))
        return f"{match[1]}\n{body}\n\n{match[3]}"

    return _BLOCK.sub(block, text)


def interval_coverage(figures: dict[str, Any]) -> str:
    """Return the coverage of the interval as a table."""
    lines = [
        "| labels a class | balance | draws | truth inside the interval | width beside Wilson's |",
        "|---|---|---|---|---|",
    ]
    rows = [*figures["by_shots_and_balance"], {"shots": "all", "balance": "", **figures["overall"]}]
    for row in rows:
        low, high = (100 * bound for bound in row["coverage_95"])
        lines.append(
            f"| {row['shots']} | {row['balance']} | {row['draws']} | {100 * row['coverage']:.1f} % "
            f"({low:.1f}–{high:.1f}) | {row['width_over_wilson_median']:.2f} × |"
        )
    sets = ", ".join(figures["sets"])
    sets_used = (
        f"Pooled over {sets}; seed {figures['seed']}. Wilson's interval is that of a test set with as "
        "many images as there are labels, which one would need besides the labels."
    )
    lines += ["", sets_used]
    return "\n".join(lines)


def decode(figures: dict[str, Any]) -> str:
    """Return how much faster large photos are decoded, in a sentence."""
    large, small = figures["12 megapixels"], figures["500x375"]
    faster = large["times_faster"]
    return (
        f"Large JPEG photos are decoded at a fraction of their size: on {large['images']} images of "
        f"12 megapixels ({figures['images']}) that was {faster['median']:.1f} times faster than decoding them whole "
        f"({faster['low']:.1f}–{faster['high']:.1f} in {faster['n']} runs), at a cosine of "
        f"{large['cosine_to_whole_decode']['median']:.4f} between the vectors; at 500 × 375 it was "
        f"{small['times_faster']['median']:.1f} times (`benchmarks/results/decode.json`)."
    )


def finetune_few(figures: dict[str, Any]) -> str:
    """Return fine-tuning beside the probe on frozen vectors, a row an image set."""
    lines = [
        "| image set | linear probe | fine-tuned | gain | naive | its gain |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in figures["sets"].items():
        probe, tuned, naive = row["linear probe"], row["default"], row.get("naive")
        cells = [f"{probe['accuracy']:.1f}", f"{tuned['accuracy']:.1f}", _points(tuned["gain"])]
        cells += [f"{naive['accuracy']:.1f}", _points(naive["gain"])] if naive else ["", ""]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    mean = figures["mean"]
    lines.append(f"| mean | | | {_points(mean['default'])} | | {_points(mean['naive'])} |")
    minutes = {name: seconds / 60 for name, seconds in figures["cpu_seconds"].items()}
    first = next(iter(figures["sets"].values()))["naive"]["by_draw"]
    lines += ["", (
        f"{figures['labels_a_class']} labels a class, {plural(figures['draws'], 'draw')}, accuracy in percent; gains "
        "over the probe on the same draws and images, with 95 % intervals paired by image. Fine-tuned: the defaults, "
        f"{figures['steps']} steps, {minutes['default']:.1f} CPU minutes with embedding and test. Naive: all weights "
        "and a head from 0, no label smoothing, moving BatchNorm, no averaging, the same steps; "
        f"{plural(len(first), 'draw')}. The defaults were chosen on clothing's validation set and on other draws of "
        "the other sets."
    )]  # fmt: skip
    return "\n".join(lines)


def finetune_all(figures: dict[str, Any]) -> str:
    """Return what all labels of one set give."""
    lines = ["| all labels of clothing | accuracy on the test set |", "|---|---|"]
    for name, what in (("probe", "linear probe on frozen vectors"), ("default", "fine-tuned")):
        row = figures[name]
        low, value, high = (100 * row[key] for key in ("low", "value", "high"))
        lines.append(f"| {what} | {value:.1f} % ({low:.1f}–{high:.1f}), {row['n']} images |")
    lines += ["", (
        f"{figures['epochs']} epochs in {figures['cpu_seconds'] / 60:.1f} CPU minutes, embedding and probes "
        "included; Wilson's interval."
    )]  # fmt: skip
    return "\n".join(lines)


def finetune_ablation(figures: dict[str, Any]) -> str:
    """Return what each part of fine-tuning does."""
    lines = ["| changed | accuracy | minus the default | CPU seconds |", "|---|---|---|---|"]
    for name, row in figures["table"].items():
        is_default = name == "default"
        gain = "" if is_default else _points({**row["minus default"], "n": figures["n"]})
        seconds = f"{row['cpu_seconds']:.0f}" if row["cpu_seconds"] else ""
        lines.append(
            f"| {'nothing' if is_default else name} | {row['accuracy']:.1f} | {gain} | {seconds} |"
        )
    lines += ["", (
        f"One draw of {figures['labels_a_class']} labels a class of clothing, {figures['steps']} steps, tested on the "
        f"{figures['n']} images of its validation set; differences paired by image, with 95 % intervals. One draw and "
        "one seed: differences of a point are not to be trusted."
    )]  # fmt: skip
    return "\n".join(lines)


def selfsupervised(figures: dict[str, Any]) -> str:
    """Return every method from scratch in one table."""
    lines = [
        "| learnt by | accuracy | over random weights | epochs | CPU minutes |",
        "|---|---|---|---|---|",
    ]
    for name, row in figures["table"].items():
        gain = "" if name == "random weights" else _points(row["minus random weights"])
        run = f"{row['epochs']:g} | {row['cpu_minutes']:.1f}" if "epochs" in row else " | "
        lines.append(f"| {name} | {_mean(row['accuracy'])} | {gain} | {run} |")
    draws = next(iter(figures["table"].values()))["accuracy"]["n"]
    lines += ["", (
        f"`{figures['network']}` from random weights on {figures['images']:,} tiles of EuroSAT at {figures['side']} "
        f"pixels; a linear probe with {figures['labels_a_class']} labels a class on {figures['test_images']:,} other "
        f"tiles. Accuracy in percent with 95 % intervals over {draws} draws of labels, the same for all rows."
    )]  # fmt: skip
    return "\n".join(lines)


def continued(figures: dict[str, Any]) -> str:
    """Return what going on without labels brings to the packaged backbone."""
    lines = [
        "| packaged backbone | accuracy |",
        "|---|---|",
        f"| as it is | {_mean(figures['frozen'])} |",
        f"| after going on without labels | {_mean(figures['continued'])} |",
        f"| gain | {_points(figures['gain'])} |",
        "",
        (
            f"`{figures['method']}` on {figures['images']:,} unlabelled tiles of EuroSAT at {figures['side']} pixels, "
            f"{figures['epochs']:g} epochs at a rate of {figures['rate']:g}, {figures['cpu_minutes']:.1f} CPU minutes. "
            f"A linear probe with {figures['labels_a_class']} labels a class at the same size, on "
            f"{figures['test_images']:,} tiles that no step saw; percent, 95 % intervals over {figures['gain']['n']} "
            "draws of labels, the gain paired."
        ),
    ]  # fmt: skip
    return "\n".join(lines)


def continued_as_used(figures: dict[str, Any]) -> str:
    """Return what going on without labels brings at the size that `handful fit` sees, a row a set."""
    lines = [
        "| image set | images, test images | as it is | after going on | gain | CPU minutes | unlabelled images too |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, own in figures["sets"].items():
        frozen, after = _mean(own["frozen"]), _mean(own["continued"])
        lines.append(
            f"| {name} | {own['images']:,}, {own['test_images']:,} | {frozen} | {after} | "
            f"{_points(own['gain'])} | {own['cpu_minutes']:.1f} | {_mean(own['spreading'])} |"
        )
    one = next(iter(figures["sets"].values()))
    lines += ["", (
        f"The packaged backbone trained by `{figures['method']}` at {one['side']} pixels, {one['steps']} steps of "
        f"{one['batch_size']} images, and measured at its own {figures['side']}: a linear probe with "
        f"{figures['labels_a_class']} labels a class; percent, 95 % intervals over {one['gain']['n']} draws of labels, "
        f"the gain paired. Last column: the spreading probe on the backbone as it is, same labels, up to "
        f"{max(own['pool'] for own in figures['sets'].values()):,} unlabelled images."
    )]  # fmt: skip
    return "\n".join(lines)


def semisupervised_vectors(figures: dict[str, Any]) -> str:
    """Return what a pool brings to the probe, a row a method, and what a foreign one does."""
    sets = ["clothing", "eurosat", "trashnet", "digits"]
    lines = [
        f"| labels a class | method | mean | {' | '.join(sets)} |",
        "|---|---|---|---|---|---|---|",
    ]
    for labels, places in figures["gain"].items():
        for method, row in places["pool"].items():
            if method == "LinearProbe":
                cells = ["", *(f"{row['accuracy'][name]:.1f} %" for name in sets)]
            else:
                cells = [_points(row[name]) for name in ["mean", *sets]]
            lines.append(f"| {labels} | {method} | {' | '.join(cells)} |")
    rows = [
        f"{labels} labels a class: refused in {row['refused']} of {row['draws']} draws, "
        f"{row['points lost']:.1f} points lost on average ({row['points lost if used']:.1f} if it were always used)"
        for labels, row in figures["foreign"].items()
    ]
    n = max(row["draws"] for row in figures["gain"]["2"]["pool"].values())
    lines += ["", (
        f"The probe's accuracy, and points over it, on the unlabelled images of the pool; up to {n} draws, fewer "
        "for the slow ones, paired by draw, 95 % t-intervals. All see the same labels and pool."
    ), "", f"With the images of another set as the pool: {'; '.join(rows)}."]  # fmt: skip
    return "\n".join(lines)


def semisupervised_networks(figures: dict[str, Any]) -> str:
    """Return every variant on one small budget."""
    lines = [
        "| method | accuracy | over the spreading probe | steps | CPU minutes |",
        "|---|---|---|---|---|",
    ]
    for name, row in figures["table"].items():
        gain = "" if name == "spreading probe" else _points(row["minus spreading probe"])
        steps = f"{row['steps'][0]}" if "steps" in row else ""
        minutes = f"{np.mean(row['cpu_seconds']) / 60:.1f}"
        lines.append(f"| {name} | {_mean(row['accuracy'])} | {gain} | {steps} | {minutes} |")
    lines += ["", (
        f"{figures['labels']} labels a class of {figures['set']}, {figures['pool']:,} images whose labels are hidden, "
        f"{figures['test']:,} others to test on; {plural(figures['seeds'], 'draw')}. Views of {figures['train_size']} "
        f"pixels, vectors at {figures['size']}. Percent on the test images, 95 % intervals over them, gains paired. "
        "“All labels” also sees those that are hidden from the others."
    )]  # fmt: skip
    return "\n".join(lines)


def omniglot(figures: dict[str, Any]) -> str:
    """Return what was trained task by task beside the papers and common re-runs."""
    lines = [
        "| trained | tested | ours | paper | common re-run | steps | CPU minutes |",
        "|---|---|---|---|---|---|---|",
    ]
    for model, row in figures["models"].items():
        for test in row["tests"].values():
            found, again = test["accuracy"], test["common_re_run"]
            task = found["how"].split(", ")
            cells = [model, f"{task[1]} {task[2]}", _share(found), f"{test['paper']:.1f}",
                     "–" if again is None else f"{again:.1f}", f"{row['steps']:,}",
                     f"{row['cpu_seconds_of_this_call'] / 60:.0f}"]  # fmt: skip
            lines.append(f"| {' | '.join(cells)} |")
    lines += ["", (
        f"Omniglot, 28 pixels, classes by Vinyals' split, turned characters as classes of their own; the state that is "
        f"best on the validation characters, {figures['tasks']:,} tasks of test characters. Percent, 95 % intervals "
        "over tasks. The papers train many times as long; common re-runs are collected from independent code."
    )]  # fmt: skip
    return "\n".join(lines)


def pmf(figures: dict[str, Any]) -> str:
    """Return what each stage of P>M>F adds."""
    table, gains = figures["table"], figures["gain_of_f_after_m"]
    stages = ("P", "P>F", "P>M", "P>M>F")
    lines = [
        f"| task | {' | '.join(stages)} | F after M, points | seconds a task, P>M and P>M>F |",
        "|---|---|---|---|---|---|---|",
    ]
    for task, gain in gains.items():
        rows = [table[f"{stage}, {task}"] for stage in stages]
        shares = [_share(row["accuracy"]) for row in rows]
        points = (
            f"{100 * gain['value']:+.1f} ({100 * gain['low']:+.1f} to {100 * gain['high']:+.1f})"
        )
        seconds = f"{rows[2]['cpu_seconds_a_task']:.1f} and {rows[3]['cpu_seconds_a_task']:.1f}"
        way, shot = task.rstrip("s").split("w")
        cells = [f"{way}-way {shot}-shot", *shares, points, seconds]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def distil(figures: dict[str, Any]) -> str:
    """Return what a small student reached on each image set, a row a set."""
    lines = [
        "| image set | unlabelled images learnt | steps | teacher | student | difference |",
        "|---|---|---|---|---|---|",
    ]
    for path in sorted(RESULTS.glob("distil_*.json")):
        own = json.loads(path.read_text("utf-8"))
        name, tested = path.stem.partition("_")[2], own["after"]["n"]
        teacher, student = (_share(own[key]) for key in ("before", "after"))
        gain = {
            "mean" if key == "value" else key: 100 * own["gain"][key]
            for key in ("value", "low", "high")
        }
        lines.append(
            f"| {name}, {tested:,} test images | {own['unlabelled']['learnt']:,} | {own['recipe']['steps']:,} | "
            f"{teacher} | {student} | {_points(gain)} |"
        )
    how, small, large = (figures[key] for key in ("settings", "student", "teacher"))
    faster = small["images_per_second"] / large["images_per_second"]
    lines += ["", (
        f"{how['labels']} labels a class; a linear probe as teacher, as student "
        f"{how['student']} at {how['size']} pixels: "
        f"{small['weights'] / 1e6:.2f} million weights of {large['weights'] / 1e6:.2f}, {faster:.1f} times as fast. "
        "Percent of test images right, Wilson intervals; the difference paired by image (`benchmarks/distil.py`)."
    )]  # fmt: skip
    return "\n".join(lines)


def episodic_steps(figures: dict[str, Any]) -> str:
    """Return what a training step costs."""

    def said(row: dict[str, Any]) -> str:
        return f"{row['median']:.1f} times ({row['low']:.1f}–{row['high']:.1f})"

    one, two = (figures[f"maml, {steps}"] for steps in ("1 step", "2 steps"))
    differ = max(one["largest_difference"], two["largest_difference"])
    share = figures["prototypical"]["share"]
    return (
        f"A step of MAML over 32 tasks together is {said(two['faster'])} as fast as task by task with two inner "
        f"steps, {said(one['faster'])} with one: the first moves the head alone, since all classes begin alike, and "
        f"tasks share the network until then. Gradients differ by at most {differ:.0e}. A step of ProtoNets runs at "
        f"{share['median']:.2f} ({share['low']:.2f}–{share['high']:.2f}) of the speed of its encoder's own forward and "
        "backward pass (`benchmarks/results/episodic_steps.json`)."
    )


def eurosat_usb(figures: dict[str, Any]) -> str:
    """Return EuroSAT by USB's protocol beside what is published."""
    lines = [
        "| labels in all | linear probe | with the pool | USB, labelled only | USB, its best |",
        "|---|---|---|---|---|",
    ]
    for labels, published in ((20, "73.5 | 95.0"), (40, "83.9 | 96.3")):
        row = figures[f"{labels} labels"]
        cells = [
            f"{100 * row[n]['mean']:.1f} ± {100 * row[n]['sd']:.1f}"
            for n in ("linear_probe", "spreading_probe")
        ]
        lines.append(f"| {labels} | {' | '.join(cells)} | {published} |")
    run = figures["40 labels"]["runs"][0]
    lines += ["", (
        f"EuroSAT, {run['unlabelled']:,} unlabelled and {run['test']:,} test tiles, mean and standard deviation over "
        f"{len(figures['40 labels']['runs'])} seeds, in percent; {run['cpu_seconds']:.0f} CPU seconds a fit. USB "
        "(Wang et al., 2022) trains a ViT-S/2 for 200,000 steps; here the packaged backbone stays as it is."
    )]  # fmt: skip
    return "\n".join(lines)


def select_speed(figures: dict[str, Any]) -> str:
    """Return what one query over all vectors costs, ours and scikit-activeml's."""
    lines = [
        "| strategy | seconds | MB | scikit-activeml: seconds | MB | times as fast |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in figures["cells"].items():
        ours, theirs = row["ours"], row.get("scikit-activeml")
        cells = [f"`{name}`", f"{ours['seconds']:.3g}", f"{ours['megabytes']}"]
        if theirs is None:
            cells += ["–", "–", "–"]
        elif "failed" in theirs:
            asked = re.search(r"allocate (\S+ GiB)", theirs["failed"])
            cells.append(f"asks for {asked[1]}" if asked else theirs["failed"])
            least = row.get("at_least_times_faster")
            cells += ["–", f"over {least:.0f}" if least else "–"]
        else:
            cells += [
                f"{theirs['seconds']:.3g}",
                f"{theirs['megabytes']}",
                f"{row['times_faster']:.0f}",
            ]
        lines.append(f"| {' | '.join(cells)} |")
    n, dim = figures["pool"]
    lines += ["", (
        f"One query for 100 of {n:,} vectors of {dim} dimensions, 10 classes, two cores; models are fitted before. "
        "MB: added to the peak of memory."
    )]  # fmt: skip
    return "\n".join(lines)


def active_curves(figures: dict[str, Any]) -> str:
    """Return each strategy's gain over random picks, and the labels it needs for the same accuracy."""
    sets = figures["figures"]
    lines = [
        f"| strategy | seeds | {' | '.join(sets)} | labels for random's 200 |",
        "|---|---|" + "---|" * (len(sets) + 1),
    ]
    names = {name for rows in sets.values() for name in rows} - {"random"}
    mean = {
        name: np.mean([rows[name]["mean_gain"]["mean"] for rows in sets.values() if name in rows])
        for name in names
    }
    for name in sorted(names, key=lambda name: -mean[name]):
        rows = [by_name.get(name) for by_name in sets.values()]
        gains = [
            "–" if row is None else _points({k: 100 * v for k, v in row["mean_gain"].items()})
            if row["seeds"] > 1 else f"{100 * row['mean_gain']['mean']:+.1f}" for row in rows
        ]  # fmt: skip
        seeds = sorted({row["seeds"] for row in rows if row})
        needed = [row["labels_for_random_200"] if row else None for row in rows]
        shown = "–" if None in needed else f"{np.mean(needed):.0f}"  # type: ignore[arg-type]
        n = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]}–{seeds[-1]}"
        lines.append(f"| `{name}` | {n} | {' | '.join(gains)} | {shown} |")
    lines += ["", (
        "Points of accuracy over random picks, mean over all budgets from 20 to 300 labels, on images that were never "
        "asked for; paired by seed, 95 % t-intervals. Last column: labels with which the mean curve reaches random's "
        "accuracy at 200, mean of the sets (–: on one of them it never does)."
    )]  # fmt: skip
    return "\n".join(lines)


def active_testing(figures: dict[str, Any]) -> str:
    """Return the errors of three ways to measure a model with few labels."""
    names = {
        "lure": "weighted picks (LURE)",
        "uniform": "uniform picks",
        "naive": "plain mean of the least sure",
    }
    lines = ["| picks | bias at 50 | RMSE at 25 | at 50 | at 100 |", "|---|---|---|---|---|"]
    for name, title in names.items():
        row = figures["all_sets"][name]
        errors = [f"{row[n]['rmse']:.1f}" for n in ("25", "50", "100")]
        lines.append(f"| {title} | {row['50']['bias']:+.2f} | {' | '.join(errors)} |")
    covered = [row["covered"] for row in figures["sets"].values()]
    lines += ["", (
        f"Points of error rate, {figures['all_sets']['runs']:,} runs on {len(covered)} sets, models of 100 labels. "
        f"The 95 % confidence sequence of the weighted picks held at all times in {100 * min(covered):.1f} to "
        f"{100 * max(covered):.1f} % of the runs of a set."
    )]  # fmt: skip
    return "\n".join(lines)


def advise(figures: dict[str, Any]) -> str:
    """Return regret and coverage of the advice, a row a kind of situation."""
    lines = [
        "| situations | number | mean regret | worst | intervals that held |",
        "|---|---|---|---|---|",
    ]
    kinds = {f"without {name}'s evidence": row for name, row in figures["by_set"].items()}
    kinds |= {f"{plural(int(n), 'label')} a class": row for n, row in figures["by_labels"].items()}
    kinds |= {f"{kind}": row for kind, row in figures["by_kind"].items() if kind != "plain"}
    kinds |= {
        "all that are not shifted": figures["not shifted"],
        "all on vectors": figures["vectors"],
    }
    kinds |= {"with training": figures["training"]}
    kinds |= {"1, 2 and 5 labels, fresh draws": figures["fresh"]} if "fresh" in figures else {}
    for name, row in kinds.items():
        held = row["coverage"]
        lines.append(
            f"| {name} | {row['situations']} | {row['regret']['mean']:.1f} | {row['regret']['worst']:.1f} | "
            f"{100 * held['value']:.0f} % of {held['n']} |"
        )
    distances = ", ".join(f"{name} {value:.2f}" for name, value in figures["distance"].items())
    lines += ["", (
        "Points of accuracy below the best plan in hindsight, by the plan put first. Every row was made without any "
        f"evidence of its set. Distance from what the backbone knows: {distances}."
    )]  # fmt: skip
    return "\n".join(lines)


def scale(figures: dict[str, Any]) -> str:
    """Return CPU time, growth and memory of each stage, a row a stage."""
    stages = {
        "scan": "read, hash and note every file (`scan`)",
        "embed": "embed them (rate × number)",
        "load": "read all vectors back",
        "neighbours": "15 neighbours of each",
        "usearch": "the same by a graph (HNSW of usearch, 8 bits)",
        "first_picks": "20 images to label, nothing labelled yet",
        "next_picks": "20 more after 100 labels",
        "fit": "fit on 100 labels and a pool of 10,000, classify all",
    }
    cells, slopes = figures["cells"], figures["exponents"]
    sizes = sorted({int(n) for own in cells.values() for n in own})
    heads = [f"{n:,}" for n in sizes]
    lines = [
        f"| CPU seconds | {' | '.join(heads)} | exponent | peak memory, GB |",
        f"|{'---|' * (len(sizes) + 3)}",
    ]
    for stage, title in stages.items():
        own = [cells[stage].get(str(n), {}) for n in sizes]
        times = [f"{c['cpu_seconds']:,.1f}" if "cpu_seconds" in c else "–" for c in own]
        slope = [f"{value:.2f}" for value in slopes.get(stage, {}).values()]
        peaks = [f"{c['peak_gb']:.1f}" if "peak_gb" in c else "–" for c in own]
        lines.append(
            f"| {title} | {' | '.join(times)} | {', '.join(slope)} | {' / '.join(peaks)} |"
        )
    ours, graph = (
        {int(n): c for n, c in sorted(cells[stage].items(), key=lambda item: int(item[0])) if "recall" in c}
        for stage in ("neighbours", "usearch")
    )  # fmt: skip
    recalls, others = (
        ", ".join(f"{c['recall']:.3f} at {n:,}" for n, c in found.items()) for found in (ours, graph)
    )  # fmt: skip
    exact = ", ".join(f"{c['exact_cpu_seconds']:,.0f} at {n:,}" for n, c in ours.items())
    lines += ["", (
        "Exponent: the slope of log time by log number between the sizes; 1 is in proportion. Recall of the "
        f"neighbours: {recalls}; by the graph {others}. Comparing all with all would take (CPU seconds): {exact}. "
        f"Vectors of EuroSAT's 27,000 tiles, repeated with noise, on {figures['hardware']['cores']} busy cores "
        "(`benchmarks/results/scale.json`)."
    )]  # fmt: skip
    return "\n".join(lines)


_DOLLARS_A_CORE_HOUR, _DOLLARS_A_TB_MONTH = 0.04, 23.0  # what is assumed of a cloud
_DOLLARS_A_MILLION_READS = 0.40


def sizing(figures: dict[str, Any]) -> str:
    """Return hours, dollars and bytes of 10⁶ to 10⁹ images, from the measured rate of a core."""
    rate = float(np.median(figures["images_per_second"]["handful"])) / figures["hardware"]["cores"]
    decoding = json.loads((RESULTS / "decode.json").read_text("utf-8"))
    more = (decoding["12 megapixels"]["handful_ms"] - decoding["500x375"]["handful_ms"]) / 1000
    lines = [
        "| images | core-hours | on 16 cores | on 1,000 cores | compute | reading | vectors | kept, a month |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, seconds in (("500 × 375", 1 / rate), ("12 megapixels", 1 / rate + more)):
        for power, name in zip((6, 7, 8, 9), "⁶⁷⁸⁹", strict=True):
            n = 10**power
            hours, terabytes = n * seconds / 3600, n * 1280 * 4 / 1e12
            lines.append(
                f"| 10{name} of {kind} | {hours:,.0f} | {_duration(hours / 16)} | {_duration(hours / 1000)} | "
                f"{_dollars(hours * _DOLLARS_A_CORE_HOUR)} | {_dollars(n / 1e6 * _DOLLARS_A_MILLION_READS)} | "
                f"{_bytes(terabytes)} | {_dollars(terabytes * _DOLLARS_A_TB_MONTH)} |"
            )
    lines += ["", (
        f"From {rate:.1f} images of 500 × 375 a second and core, files to vectors "
        f"(`benchmarks/results/embedding.json`), and {1000 * more:.0f} ms more to decode 12 megapixels "
        "(`decode.json`), both on a quiet machine. Assumed prices: "
        f"${_DOLLARS_A_CORE_HOUR:.2f} a core-hour, ${_DOLLARS_A_MILLION_READS:.2f} a million reads of a bucket, "
        f"${_DOLLARS_A_TB_MONTH:.0f} a terabyte and month. A vector is 1,280 numbers of 4 bytes."
    )]  # fmt: skip
    return "\n".join(lines)


def _duration(hours: float) -> str:
    if hours >= 48:
        return f"{hours / 24:,.0f} days"
    return f"{hours:.1f} h" if hours >= 1 else f"{max(60 * hours, 1):.0f} min"


def _dollars(amount: float) -> str:
    return f"${amount:,.0f}" if amount >= 10 else f"${amount:.2f}"


def _bytes(terabytes: float) -> str:
    return f"{terabytes:.1f} TB" if terabytes >= 1 else f"{1000 * terabytes:.0f} GB"


def rivals(figures: dict[str, Any]) -> str:
    """Return what was measured beside others, a row a figure."""
    said = {"ours": "handful", "theirs": "**the other**", "nobody": "–"}
    lines = ["| the other | what | handful | the other | ahead |", "|---|---|---|---|---|"]
    for row in figures["rows"]:
        cells = [row["rival"], row["task"], row["ours"], row["theirs"], said[row["ahead"]]]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", (
        "–: the interval of the difference, or the range of the pairs' ratios, holds equality. What was measured how, "
        "with intervals, stands in `benchmarks/results/`."
    )]  # fmt: skip
    return "\n".join(lines)


def prefix(figures: dict[str, Any]) -> str:
    """Return how much faster the last blocks train on cached activations."""
    faster = figures["times_faster"]
    lines = [
        "| what trains | seconds an epoch, whole network | on cached activations | times faster |",
        "|---|---|---|---|",
        (
            f"| {figures['train']} | {np.median(figures['full_seconds']):.2f} | "
            f"{np.median(figures['cached_seconds']):.2f} | "
            f"{faster['median']:.1f} ({faster['low']:.1f}–{faster['high']:.1f} in {faster['n']} runs) |"
        ),
        "",
        (
            f"{figures['images']:,} images at {figures['side']} pixels. "
            f"Largest difference of the loss: {figures['loss_difference']:.0e}."
        ),
    ]  # fmt: skip
    return "\n".join(lines)


def episodes_forecast(figures: dict[str, Any]) -> str:
    """Return the forecast beside what fresh draws gave on the test folder."""
    lines = [
        "| labels a class | forecast (range) | mean on the test folder | inside | mixed alike | inside |",
        "|---|---|---|---|---|---|",
    ]
    for row in figures["rows"]:
        low, value, high = (100 * row["forecast"][key] for key in ("low", "value", "high"))
        lines.append(
            f"| {row['labels_a_class']} | {value:.1f} % ({low:.1f}–{high:.1f}) | {100 * row['test_mean']:.1f} % | "
            f"{100 * row['draws_inside']:.0f} % | {100 * row['test_mean_mixed_alike']:.1f} % | "
            f"{100 * row['draws_inside_mixed_alike']:.0f} % |"
        )
    lines += ["", (
        "The range is that of 95 of 100 draws; inside: the share of the test folder's draws in it. "
        f"`LinearProbe`, {figures['draws']} fresh draws, {figures['test_images']} test images, whose chance is not "
        "in the range. The test folder holds three times the share of shoes and half that of t-shirts: mixed alike, "
        "its images are weighed to the mix of the train folder, of which the forecast speaks."
    )]  # fmt: skip
    return "\n".join(lines)


def episodes_realism(figures: dict[str, Any]) -> str:
    """Return one rule in ever more realistic settings."""
    lines = [
        "| images | setting | 1 label | 5 labels | soft k-means minus prototypes, 1 label |",
        "|---|---|---|---|---|",
    ]
    for name, rows in figures["sets"].items():
        for one, five in zip(rows[::2], rows[1::2], strict=True):
            cells = [_share(row["shrinkage_lda"]["accuracy"]) for row in (one, five)]
            gain = ""
            if "soft_kmeans" in one:
                points = (
                    one["soft_kmeans"]["accuracy"]["value"] - one["prototypes"]["accuracy"]["value"]
                )
                gain = f"{100 * points:+.1f}"
            lines.append(f"| {name} | {one['setting']} | {cells[0]} | {cells[1]} | {gain} |")
    lines += ["", (
        f"Shrinkage LDA on the packaged backbone's vectors, {figures['tasks']:,} tasks (200 with 100 ways), percent "
        "with 95 % intervals over tasks. Omniglot: the 659 characters of its evaluation alphabets at 64 pixels; "
        "similar classes are those of the taxonomy alphabet–character. Clothing: by the distance of their means."
    )]  # fmt: skip
    return "\n".join(lines)


def _share(row: dict[str, float]) -> str:
    return f"{100 * row['value']:.1f} ({100 * row['low']:.1f}–{100 * row['high']:.1f})"


def episodes_speed(figures: dict[str, Any]) -> str:
    """Return how much faster many tasks are at once, in a sentence."""
    first, kept = (figures["times_faster"][name]["wall"] for name in ("first call", "matrix kept"))
    ours, theirs = figures["accuracy"], figures["accuracy_task_by_task"]
    return (
        f"{figures['tasks']:,} tasks ({figures['setting']}) on {figures['images']:,} vectors of "
        f"{figures['dimensions']} dimensions were drawn and measured {first['median']:.0f} times as fast as task by "
        f"task with a DataLoader ({first['low']:.0f}–{first['high']:.0f} in {first['n']} runs), and "
        f"{kept['median']:.0f} times ({kept['low']:.0f}–{kept['high']:.0f}) where the matrix of all products was kept "
        f"from an earlier call, which had taken {figures['seconds_of_the_matrix']['wall']:.1f} s; accuracy "
        f"{_share(ours)} % against {100 * theirs:.1f} % on fewer tasks (`benchmarks/results/episodes_speed.json`)."
    )


def plural(n: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _mean(row: dict[str, float]) -> str:
    """Return a mean in percent; one draw has no interval."""
    value = f"{row['mean']:.1f}"
    return f"{value} ({row['low']:.1f}–{row['high']:.1f})" if row.get("n", 2) > 1 else value


def _points(row: dict[str, float]) -> str:
    """Return a difference in points; one draw has no interval."""
    value = f"{row['mean']:+.1f}"
    return f"{value} ({row['low']:+.1f} to {row['high']:+.1f})" if row.get("n", 2) > 1 else value


_FIGURES: dict[str, Callable[[dict[str, Any]], str]] = {
    "advise": advise,
    "active_curves": active_curves,
    "active_testing": active_testing,
    "continued": continued,
    "continued_as_used": continued_as_used,
    "decode": decode,
    "distil_eurosat": distil,
    "eurosat_usb": eurosat_usb,
    "embedding": sizing,
    "episodes_forecast": episodes_forecast,
    "episodes_realism": episodes_realism,
    "episodes_speed": episodes_speed,
    "finetune_ablation": finetune_ablation,
    "finetune_all": finetune_all,
    "finetune_few": finetune_few,
    "interval_coverage": interval_coverage,
    "omniglot": omniglot,
    "episodic_steps": episodic_steps,
    "pmf_eurosat": pmf,
    "pmf_omniglot": pmf,
    "prefix": prefix,
    "scale": scale,
    "selfsupervised": selfsupervised,
    "rivals": rivals,
    "select_speed": select_speed,
    "semisupervised_networks": semisupervised_networks,
    "semisupervised_vectors": semisupervised_vectors,
}


def main() -> int:
    """Write the pages, or check them."""
    stale = []
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if written(text) != text:
            stale.append(str(page))
            if "--check" not in sys.argv:
                page.write_text(written(text), encoding="utf-8")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
